/**
 * An agent that only plays statuses: for tests of the control plane without containers.
 *
 * How a task behaves stands in the environment of its service: `BEHAVE` is a word (`ready`, `unready`,
 * `crash`, `reject`, `exit-0`, `exit-1`), times are fixed. It obeys the states' table: positions only grow.
 * A verdict or `desired: stopped` ends a task; a killed agent does nothing until it is back.
 */

import type { CancelTimer, Clock } from "@berth/base";
import {
  FORMAT_LEVEL,
  isFinal,
  keys,
  type Node,
  type NodeStatus,
  type Operation,
  type Task,
  type TaskStatus,
} from "@berth/protocol";
import { specOfTask } from "../release/spec-of-task.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import type { Store } from "../store/port.ts";

const START_MS = 100;
const STOP_MS = 200;
const CRASH_AFTER_MS = 500;
const REPORT_MS = 1_000;

export interface ModelAgentOptions {
  readonly name: string;
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  /** An agent that reports keeps its node's lease. */
  readonly renewLease: (node: string) => void;
  readonly labels?: Readonly<Record<string, string>>;
  readonly memoryBytes?: number;
  /** It never says where other nodes reach it, unless it is told to. */
  readonly isUnreachable?: boolean;
}

interface Played {
  status: TaskStatus;
  cancel: CancelTimer | undefined;
  stopping: boolean;
}

export class ModelAgent {
  readonly #options: ModelAgentOptions;
  readonly #played = new Map<string, Played>();
  #endListening: (() => void) | undefined;
  #cancelReport: CancelTimer | undefined;
  #alive = false;
  #underlay: NodeStatus["underlay"];

  constructor(options: ModelAgentOptions) {
    this.#options = options;
    const number = /\d+$/.exec(options.name)?.[0] ?? "254";
    if (options.isUnreachable !== true) {
      this.#underlay = { address: `192.0.2.${number}`, port: 4_789, mtu: 1_500 };
    }
  }

  /** Reports that other nodes reach it there. */
  async tellUnderlay(underlay: NodeStatus["underlay"]): Promise<void> {
    const { store, name } = this.#options;
    this.#underlay = underlay;
    const value = encode(this.#nodeStatus());
    await store.txn({ compare: [], then: [{ kind: "put", key: keys.nodeStatus(name), value }] });
  }

  /** Joins its node, if it is new, and begins to work. */
  async start(): Promise<void> {
    const { store, state, clock, name } = this.#options;
    this.#alive = true;
    const node = keys.node(name);
    const then = [
      { kind: "put", key: keys.nodeStatus(name), value: encode(this.#nodeStatus()) },
    ] as const;
    const joined: Node = {
      name,
      labels: this.#options.labels ?? {},
      availability: "active",
      joinedAt: clock.now(),
      contact: "up",
      contactChangedAt: clock.now(),
    };
    const isNew = state.view.nodes.get(node) === undefined;
    await store.txn({
      compare: [],
      then: isNew ? [...then, { kind: "put", key: node, value: encode(joined) }] : then,
    });
    this.#endListening = state.onChange(() => this.#look());
    this.#report();
    this.#look();
  }

  /** The whole node goes silent; its containers, as far as anybody can tell, live on. */
  kill(): void {
    this.#alive = false;
    this.#endListening?.();
    this.#cancelReport?.();
    for (const played of this.#played.values()) played.cancel?.();
  }

  #report(): void {
    if (!this.#alive) return;
    this.#options.renewLease(this.#options.name);
    this.#cancelReport = this.#options.clock.setTimer(REPORT_MS, () => this.#report());
  }

  #look(): void {
    if (!this.#alive) return;
    const { state, name } = this.#options;
    for (const { value: task } of state.view.tasks.by("node", name)) this.#lookAt(task);
    for (const { key, value } of state.view.operations.by("node", name)) {
      if (value.state === "pending") void this.#finish(key, value);
    }
  }

  #lookAt(task: Task): void {
    const known = this.#played.get(task.id);
    if (known !== undefined && isFinal(known.status.state)) return;
    const played = known ?? { status: this.#firstStatus(task), cancel: undefined, stopping: false };
    if (known === undefined) this.#played.set(task.id, played);
    const mustStop = task.desired === "stopped" || task.verdict !== undefined;
    if (mustStop && !played.stopping) {
      played.stopping = true;
      played.cancel?.();
      this.#later(played, STOP_MS, () => {
        this.#say(task, played, { state: "removed", outcome: "stopped", ready: false });
      });
    } else if (known === undefined && !mustStop) this.#begin(task, played);
  }

  #begin(task: Task, played: Played): void {
    const attempt = played.status.attempt + 1;
    this.#say(task, played, { attempt, state: "pulling" });
    this.#later(played, START_MS, () => this.#run(task, played));
  }

  #run(task: Task, played: Played): void {
    const now = this.#options.clock.now();
    const behave = this.#behaviour(task);
    if (behave === "reject") {
      const message = "no such image";
      this.#say(task, played, { state: "removed", outcome: "rejected", message });
      return;
    }
    const ready = behave === "ready";
    this.#say(task, played, {
      state: "running",
      startedAt: now,
      ready,
      ...(ready ? { readyAt: now } : {}),
    });
    if (behave === "crash" || behave.startsWith("exit-")) {
      this.#later(played, CRASH_AFTER_MS, () => this.#exit(task, played, behave));
    }
  }

  #exit(task: Task, played: Played, behave: string): void {
    const now = this.#options.clock.now();
    const exitCode = behave === "crash" ? 1 : Number(behave.slice("exit-".length));
    const logTail = exitCode === 0 ? [] : ["first line", "Error: it broke"];
    if (behave !== "crash") {
      const outcome = exitCode === 0 ? "complete" : "failed";
      const end = { state: "ended", outcome, exitCode, exitedAt: now, logTail } as const;
      this.#say(task, played, { ...end, ready: false });
      return;
    }
    const recentFailures = played.status.recentFailures + 1;
    const end = { state: "exited", exitCode, exitedAt: now, logTail, recentFailures } as const;
    this.#say(task, played, { ...end, ready: false });
    this.#later(played, START_MS * 2 ** recentFailures, () => this.#begin(task, played));
  }

  #later(played: Played, delayMs: number, act: () => void): void {
    played.cancel = this.#options.clock.setTimer(delayMs, () => {
      if (this.#alive) act();
    });
  }

  #say(task: Task, played: Played, news: Partial<TaskStatus>): void {
    const { store, clock } = this.#options;
    const { status } = played;
    const sequence = status.sequence + 1;
    played.status = { ...status, ...news, sequence, updatedAt: clock.now() };
    const key = keys.status(task, task.id);
    void store.txn({ compare: [], then: [{ kind: "put", key, value: encode(played.status) }] });
  }

  #firstStatus(task: Task): TaskStatus {
    return {
      task: task.id,
      node: task.node,
      sequence: 1,
      attempt: 0,
      state: "assigned",
      ready: false,
      recentFailures: 0,
      updatedAt: this.#options.clock.now(),
    };
  }

  #behaviour(task: Task): string {
    const spec = specOfTask(this.#options.state.view, task)?.service.spec;
    return spec?.environment["BEHAVE"] ?? "ready";
  }

  async #finish(key: string, operation: Operation): Promise<void> {
    const { store, clock } = this.#options;
    const { input } = operation;
    const images =
      input.kind === "resolve-images"
        ? Object.fromEntries(
            input.images.map(({ reference }) => [
              reference,
              {
                reference,
                imageId: `sha256:${Buffer.from(reference).toString("hex").padStart(64, "0")}`,
              },
            ]),
          )
        : undefined;
    const done: Operation = {
      ...operation,
      state: "done",
      updatedAt: clock.now(),
      ...(images === undefined ? {} : { images }),
    };
    await store.txn({ compare: [], then: [{ kind: "put", key, value: encode(done) }] });
  }

  #nodeStatus(): NodeStatus {
    const { name, clock, memoryBytes = 8 * 2 ** 30 } = this.#options;
    const underlay = this.#underlay;
    return {
      name,
      bootId: "boot-1",
      agentVersion: "0",
      format: FORMAT_LEVEL,
      platform: { os: "linux", architecture: "amd64" },
      kernel: "6.1",
      engine: { name: "model", version: "1", apiVersion: "1.41", reachable: true },
      capacity: { cpuMillis: 16_000, memoryBytes, diskBytes: 2 ** 40, pids: 0 },
      reserved: { cpuMillis: 500, memoryBytes: 2 ** 29, diskBytes: 0 },
      diskFreeBytes: 2 ** 39,
      diskPressure: false,
      address: "127.0.0.1",
      ...(underlay === undefined ? {} : { underlay }),
      conditions: [],
      reportedAt: clock.now(),
    };
  }
}
