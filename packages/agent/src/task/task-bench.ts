/**
 * A node in a box for tests: the real runners over a fake host on a manual clock. The agent can be killed
 * at any boundary or moment and started again on what its disk kept.
 */

import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import type { Network, Task, TaskStatus } from "@berth/protocol";
import { FakeRuntime } from "../runtime/fake.ts";
import { FakeHost, type FakeHostOptions } from "../runtime/fake-host.ts";
import { fakeImage } from "../runtime/fake-registry.ts";
import { AgentState, type ToldTask } from "../state/agent-state.ts";
import { MemoryDb } from "../state/memory-db.ts";
import { SAMPLE_IMAGE_ID } from "./assignment-sample.ts";
import { Containers } from "./containers.ts";
import { EngineWatch } from "./engine-watch.ts";
import { HostStop } from "./host-stop.ts";
import { LiveTurns } from "./live-turns.ts";
import type { Operation } from "./operation.ts";
import { TaskRoster } from "./roster.ts";
import { Slots } from "./slots.ts";
import { statusOf } from "./status.ts";
import { removeStrays } from "./stray-containers.ts";
import type { BoundaryHook, TaskPorts } from "./task-ports.ts";

export const CLUSTER = "c1";
/** Turns of the event loop after which promises that are going to resolve without time have done so. */
const SETTLE_TURNS = 8;

/** A killed agent's code runs on in this process: from here on it must get no answer from anybody. */
function never(): Promise<never> {
  return new Promise(() => {});
}

export class NodeBox {
  readonly clock = new ManualClock();
  readonly host: FakeHost;
  readonly db: MemoryDb;
  /** Last status of each task, from whichever life of the agent. */
  readonly statuses = new Map<string, TaskStatus>();
  readonly boundaries: string[] = [];
  onBoundary: BoundaryHook = () => {};
  readonly #prng: Prng;
  #life: Life | undefined;
  #dead = new Set<Life>();

  constructor(seed: number, options: Partial<FakeHostOptions> = {}) {
    this.#prng = new Prng(seed);
    this.host = new FakeHost({ clock: this.clock, prng: this.#prng.fork(), ...options });
    this.db = new MemoryDb();
    const image = { ...fakeImage({ reference: "busybox", content: "" }), imageId: SAMPLE_IMAGE_ID };
    this.host.images.set(image.imageId, image);
  }

  get life(): Life {
    if (this.#life === undefined) throw new RangeError("no agent runs");
    return this.#life;
  }

  get alive(): boolean {
    return this.#life !== undefined;
  }

  /** Starts an agent on what the disk has. */
  start(): Life {
    const life = new Life(this, this.#prng.fork(), () => this.#dead.has(life));
    this.#life = life;
    return life;
  }

  /** `kill -9`. */
  kill(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#dead.add(life);
    life.runtime.disconnect();
    void life.driver.stop();
    this.#life = undefined;
  }

  /** Moves time until `done` or for `limitMs`; answers whether it was done. */
  async until(done: () => boolean, limitMs = 120_000): Promise<boolean> {
    const end = this.clock.monotonic() + limitMs;
    for (;;) {
      for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise(setImmediate);
      if (done()) return true;
      const due = this.clock.nextDue();
      if (due === undefined || due > end) return false;
      this.clock.fireNext();
    }
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.monotonic() + ms;
    await this.until(() => false, ms);
    if (this.clock.monotonic() < end) this.clock.advance(end - this.clock.monotonic());
  }

  status(task: string): TaskStatus | undefined {
    return this.statuses.get(task);
  }
}

/** One life of the agent. */
export class Life {
  readonly runtime: FakeRuntime;
  readonly driver: Driver;
  readonly state: AgentState;
  readonly roster: TaskRoster;
  readonly containers = new Containers();
  readonly #box: NodeBox;

  constructor(box: NodeBox, prng: Prng, isDead: () => boolean) {
    this.#box = box;
    this.runtime = new FakeRuntime(box.host);
    this.driver = new Driver({ clock: box.clock, log: silentLogger, prng });
    const db = {
      read: (table: Parameters<MemoryDb["read"]>[0]) => box.db.read(table),
      commit: async (changes: Parameters<MemoryDb["commit"]>[0]) => {
        if (isDead()) return never();
        await box.db.commit(changes);
        if (isDead()) return never();
      },
      close: async () => {},
    };
    this.state = new AgentState(db);
    this.roster = new TaskRoster(this.#ports(prng, isDead), this.driver);
    const watch = new EngineWatch(
      {
        runtime: this.runtime,
        containers: this.containers,
        roster: this.roster,
        cluster: () => CLUSTER,
        log: silentLogger,
        onReachable: () => {},
      },
      this.driver,
    );
    void watch.listed().then(() => this.roster.follow(this.state.told.keys()));
  }

  /** What the server says from now on. */
  async tell(...tasks: readonly ToldTask[]): Promise<void> {
    await this.state.putTold(tasks);
    this.roster.follow(tasks.map((told) => told.assignment.task.id));
  }

  async contact(): Promise<void> {
    await this.state.putServer({ ...this.state.server, contactBootId: this.#box.host.bootId });
    this.roster.wakeWaiting("contact");
  }

  /** What the agent's loop does when the server's list is trusted. */
  removeStrays(): Promise<void> {
    const { runtime, state, containers } = this;
    const stops = new Slots(4);
    const rest = { listIsTrusted: () => true, onRemoved: () => {}, log: silentLogger };
    return removeStrays(
      { runtime, state, containers, stops, ...rest },
      new AbortController().signal,
    );
  }

  #ports(prng: Prng, isDead: () => boolean): Omit<TaskPorts, "wakeWaiting" | "podContainer"> {
    const box = this.#box;
    const probing = new Set<string>();
    return {
      cluster: () => CLUSTER,
      node: "n1",
      bootId: box.host.bootId,
      clock: box.clock,
      prng,
      log: silentLogger,
      runtime: this.runtime,
      state: this.state,
      containers: this.containers,
      files: {
        prepare: async () => [],
        seed: async () => new Uint8Array(),
        remove: async () => {},
      },
      net: {
        ensureAttached: async (_task: Task) => {},
        ensureWays: async (_task: Task) => {},
        changed: () => {},
        isReachable: async () => true,
        leave: async () => true,
        drain: async () => {},
      },
      probes: {
        begin: ({ assignment }, onChange) => {
          probing.add(assignment.task.id);
          box.clock.setTimer(1, onChange);
        },
        end: (task) => void probing.delete(task),
        factsOf: (task) => {
          const verdict = probing.has(task) ? ("good" as const) : ("pending" as const);
          return { startup: verdict, ready: verdict, live: "good" };
        },
      },
      logs: {
        attach: () => {},
        finish: async () => {},
        tail: async () => ["last words"],
      },
      fetcher: { ensure: (image, options) => this.runtime.ensureImage(image, options) },
      credentials: { authFor: async () => undefined },
      images: { noteOwn: async () => {}, noteUse: async () => {} },
      networks: { ensure: async (_network: Network) => {}, released: () => {} },
      starts: new Slots(4),
      pulls: new Slots(2),
      stops: new Slots(4),
      liveTurns: new LiveTurns(),
      hostStop: new HostStop(),
      isIsolated: () => false,
      onBoundary: async (task: string, operation: Operation, when: "before" | "after") => {
        if (isDead()) return never();
        box.boundaries.push(`${task} ${operation} ${when}`);
        await box.onBoundary(task, operation, when);
        if (isDead()) return never();
      },
      report: (record, progress) => {
        if (isDead()) return;
        box.statuses.set(record.task, statusOf(record, "n1", box.clock.now(), progress));
      },
    };
  }
}
