/**
 * A whole cluster in one process: one server over a store that outlives it, some machines with agents, all
 * on one virtual clock and from one seed. It only offers what can be done to it; who does what is the
 * business of users (`stack-user.ts`) and of faults (`faults.ts`).
 *
 * Everything real: reconcilers, scheduler, plans, API with its handlers and watch, agent with its step,
 * runner, locks, probes and reports. Faked: engine, disk, lines, data plane.
 */

import { FakeRuntime } from "@berth/agent/runtime/fake";
import { FakeHost, type FakeHost as Host } from "@berth/agent/runtime/fake-host";
import type { FakeProgram } from "@berth/agent/runtime/fake-program";
import { FakeRegistry } from "@berth/agent/runtime/fake-registry";
import { type Clock, DAY_MS, type Logger, type Prng, sleep } from "@berth/base";
import { hashToken } from "@berth/control-plane/api/authenticator";
import { MemoryBlobs } from "@berth/control-plane/blobs/memory";
import type { FenceHook } from "@berth/control-plane/controllers/fence-port";
import { type ControlPlaneSettings, DEFAULT_SETTINGS } from "@berth/control-plane/settings";
import { FaultyStore, type StoreFaults } from "@berth/control-plane/store/faulty";
import { MemoryStore } from "@berth/control-plane/store/memory";
import type { Store } from "@berth/control-plane/store/port";
import type { NodeNetworkModel } from "@berth/network";
import { type ApiClient, keys, type Member, type Token } from "@berth/protocol";
import { Life } from "./life.ts";
import { type AnswerEvent, type Identity, LineClient } from "./line-client.ts";
import { Link } from "./link.ts";
import { type ContainerEvent, Machine, type ModelEvent } from "./machine.ts";
import { type ServerLife, startServer } from "./server-life.ts";
import { SimulatedNet } from "./simulated-net.ts";
import { SkewedClock } from "./skewed-clock.ts";
import { PROGRAM } from "./stack-specs.ts";
import { StoreFacts } from "./store-facts.ts";
import { StoreJournal, type Written } from "./store-journal.ts";
import type { Trace } from "./trace.ts";

/** Deliberate damage, to show that a checker speaks. */
export interface Mutation {
  readonly store?: (store: Store) => Store;
  readonly runtime?: (host: Host) => FakeRuntime;
  /** The data plane says that it follows as soon as it is told. */
  readonly netLies?: boolean;
  /** The fence hook says that hosts are off which run on. */
  readonly fenceLies?: boolean;
  /** The clock by which agents count how long they are without a server stands still. */
  readonly bootClockStands?: boolean;
  /** Settings of the server, where damage would seldom show with the usual ones. */
  readonly settings?: Partial<ControlPlaneSettings>;
  /** What a data plane is told differs from what the agent says. */
  readonly model?: (model: NodeNetworkModel) => NodeNetworkModel;
}

export interface ClusterOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly trace: Trace;
  readonly log: (who: string) => Logger;
  readonly machines: number;
  readonly mutation?: Mutation;
  readonly onWritten: (written: readonly Written[]) => void;
  readonly onContainer: (event: ContainerEvent) => void;
  readonly onModel: (event: ModelEvent) => void;
  readonly onAnswered: (event: AnswerEvent) => void;
  /** Something that a supervisor cannot mend: a bug. */
  readonly onBroken: (who: string, error: unknown) => void;
}

const ADMIN_TOKEN = "bt_admin";
/** A supervisor starts a server again after this. */
const RESTART_DELAY_MS = 1_000;
/** Longer than any run. */
const CERTIFICATE_AGE_MS = 30 * DAY_MS;
const MACHINE_MEMORY_BYTES = 4 * 1024 ** 3;
/** Deadlines of isolated copies pass within the longest cuts of lines. */
const SETTINGS = { ...DEFAULT_SETTINGS, isolationMs: 3_000 };
/** What switching a host off takes, how often nobody answers, and how long it stays off. */
const FENCE_MS = { min: 200, max: 8_000 } as const;
const FENCE_FAILURE_CHANCE = 0.3;
const OFF_MS = { min: 1_000, max: 30_000 } as const;

export class Cluster {
  readonly machines: readonly Machine[];
  readonly facts = new StoreFacts();
  readonly journal: StoreJournal;
  readonly registry = new FakeRegistry({ any: true });
  readonly #options: ClusterOptions;
  readonly #faulty: FaultyStore;
  readonly #blobs: MemoryBlobs;
  readonly #lives: Life[] = [];
  #life: Life | undefined;
  #server: ServerLife | undefined;
  #wanted = false;
  #ids = 0;
  /** Half of the clusters can switch hosts off; in the others people or deadlines have to do. */
  readonly #hasPowerControl: boolean;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { clock, mutation, onWritten, prng } = options;
    const isDrawn = prng.chance(0.5);
    this.#hasPowerControl = mutation?.fenceLies ?? (isDrawn && !mutation?.bootClockStands);
    this.journal = new StoreJournal(new MemoryStore({ clock }), (written) => {
      for (const each of written) this.facts.apply(each);
      onWritten(written);
    });
    this.#faulty = new FaultyStore({
      store: mutation?.store?.(this.journal) ?? this.journal,
      clock,
      prng: options.prng.fork(),
    });
    this.#blobs = new MemoryBlobs(clock);
    this.machines = Array.from({ length: options.machines }, (_, index) =>
      this.#makeMachine(index),
    );
  }

  get server(): ServerLife | undefined {
    return this.#server;
  }

  /** Makes the tokens that a first start makes, then starts everything. */
  async start(): Promise<void> {
    const { clock } = this.#options;
    const createdAt = clock.now();
    const admin = {
      name: "admin",
      hash: hashToken(ADMIN_TOKEN),
      role: "admin",
      createdAt,
    } as const;
    await this.#put(keys.token(admin.hash), admin satisfies Token);
    for (const { name, identity } of this.machines) {
      if (identity.kind === "member") await this.#putMember(name, identity.member);
      else await this.#putToken(name, identity.token);
    }
    this.startServer();
    for (const machine of this.machines) machine.startAgent();
  }

  startServer(): void {
    this.#wanted = true;
    if (this.#life !== undefined) return;
    const { prng, trace, log, mutation } = this.#options;
    const life = this.#newLife();
    this.#life = life;
    void startServer({
      life,
      store: this.#faulty,
      blobs: this.#blobs,
      settings: { ...SETTINGS, ...mutation?.settings },
      ...(this.#hasPowerControl ? { fenceHook: this.#fenceHook(prng.fork()) } : {}),
      log: log("server"),
      prng: prng.fork(),
      newId: () => this.newId(),
    }).then(
      (server) => {
        if (!life.alive) return;
        this.#server = server;
        trace.note("server", "S+", "");
      },
      (error: unknown) => {
        if (life.alive) this.#failedStart(error);
      },
    );
  }

  killServer(): void {
    if (this.#life === undefined) return;
    this.#wanted = false;
    this.#life.kill();
    this.#life = undefined;
    this.#server = undefined;
    this.#options.trace.note("server", "S-", "");
  }

  /** A power controller: mostly it can be reached, and then the host is off before it says so. */
  #fenceHook(prng: Prng): FenceHook {
    const { clock, trace, mutation } = this.#options;
    return {
      fence: async ({ node }) => {
        await sleep(clock, prng.int(FENCE_MS.min, FENCE_MS.max));
        const machine = this.machines.find(({ name }) => name === node);
        if (machine === undefined || prng.chance(FENCE_FAILURE_CHANCE)) {
          trace.note(node, "P!", "");
          return { fenced: false, message: "the power controller does not answer" };
        }
        trace.note(node, "P-", "");
        if (mutation?.fenceLies !== true) {
          machine.powerOff();
          clock.setTimer(prng.int(OFF_MS.min, OFF_MS.max), () => machine.boot());
        }
        return { fenced: true, message: "power is off" };
      },
    };
  }

  /** Faults of the store, for this and later lives of the server. */
  setStoreFaults(faults: StoreFaults): void {
    this.#faulty.faults = faults;
  }

  /** The host joins anew after its removal, under the same name. */
  async rejoin(machine: Machine): Promise<void> {
    const member = `${machine.name}-${this.newId()}`;
    await this.#putMember(machine.name, member);
    machine.joinAs({ kind: "member", node: machine.name, member });
  }

  /** Nothing says any more that the host is a member. */
  isRemoved({ name, identity }: Machine): boolean {
    return identity.kind === "member" && !this.journal.contents.has(keys.member(name));
  }

  /** A client of a user, with a line of its own. */
  userClient(link: Link): ApiClient {
    return this.#client(this.#newLife(), link, { kind: "token", token: ADMIN_TOKEN });
  }

  /** The run is over: nothing of the cluster is kept. */
  end(): void {
    for (const life of this.#lives) life.bury();
  }

  /** Identifiers of the platform: never the same twice, the same in every run of a seed. */
  newId(): string {
    this.#ids++;
    return `id${this.#ids.toString(36).padStart(8, "0")}`;
  }

  #newLife(clock: Clock = this.#options.clock): Life {
    const life = new Life(clock);
    this.#lives.push(life);
    return life;
  }

  #failedStart(error: unknown): void {
    const { clock, trace } = this.#options;
    trace.note("server", "S!", error instanceof Error ? error.message : String(error));
    this.#life?.kill();
    this.#life = undefined;
    clock.setTimer(RESTART_DELAY_MS, () => {
      if (this.#wanted) this.startServer();
    });
  }

  #client(life: Life, link: Link, identity: Identity): ApiClient {
    const newId = () => this.newId();
    const { onAnswered } = this.#options;
    return new LineClient({ life, link, server: () => this.#server, identity, onAnswered, newId });
  }

  async #put(key: string, value: unknown): Promise<void> {
    const then = [{ kind: "put", key, value: JSON.stringify(value) }] as const;
    await this.journal.txn({ compare: [], then });
  }

  async #putToken(node: string, token: string): Promise<void> {
    const createdAt = this.#options.clock.now();
    const hash = hashToken(token);
    const row: Token = { name: `agent:${node}`, hash, role: "agent", node, createdAt };
    await this.#put(keys.token(hash), row);
  }

  /** As a join does, without its cryptography: that runs outside of virtual time. */
  async #putMember(node: string, id: string): Promise<void> {
    const joinedAt = this.#options.clock.now();
    const notAfter = joinedAt + CERTIFICATE_AGE_MS;
    const row: Member = { node, id, joinedAt, address: "10.0.0.1", keyHash: id, notAfter };
    await this.#put(keys.member(node), row);
  }

  #makeMachine(index: number): Machine {
    const { prng, log, mutation, onBroken } = this.#options;
    const name = `n${index + 1}`;
    const clock = new SkewedClock(this.#options.clock);
    const host = this.#makeHost(name, clock);
    const link = new Link(this.#options.clock, prng.fork());
    // The server's own machine is known by a token, as in life; the others have joined.
    const identity: Identity =
      index === 0
        ? { kind: "token", token: `bt_agent_${name}` }
        : { kind: "member", node: name, member: `${name}-first` };
    return new Machine({
      ...{ name, clock, host, link, identity },
      newLife: (own) => this.#newLife(own),
      prng: prng.fork(),
      net: this.#makeNet(index, clock),
      log: log(name),
      clientOf: (life, known) => this.#client(life, link, known),
      bootClockStands: mutation?.bootClockStands === true,
      runtimeOf: mutation?.runtime ?? ((each) => new FakeRuntime(each)),
      onBroken: (error) => onBroken(name, error),
    });
  }

  #makeHost(name: string, clock: Clock): FakeHost {
    const { prng, onContainer } = this.#options;
    const host = new FakeHost({
      ...{ clock, name, registry: this.registry, memoryBytes: MACHINE_MEMORY_BYTES },
      prng: prng.fork(),
      // Hooks: probes are answered by the machine's checker.
      commandOf: () => ({ exitCode: 0, stdout: "" }),
      programOf: ({ environment }) => JSON.parse(environment[PROGRAM] ?? "{}") as FakeProgram,
    });
    host.subscribe(({ kind }, container) => onContainer({ machine: name, container, kind }));
    return host;
  }

  #makeNet(index: number, clock: Clock): SimulatedNet {
    const { prng, mutation, onModel } = this.#options;
    return new SimulatedNet({
      clock,
      prng: prng.fork(),
      lies: mutation?.netLies === true,
      ...(mutation?.model === undefined ? {} : { altered: mutation.model }),
      onTold: (model) => {
        const machine = this.machines[index];
        if (machine !== undefined) onModel({ machine, model });
      },
    });
  }
}
