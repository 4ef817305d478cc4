/**
 * One simulated host: its engine, its disk, its line to the server, and the lives of the agent on it. The
 * agent is the real one, over fakes.
 */

import { type Agent, startAgent } from "@berth/agent";
import { MemoryLogFiles } from "@berth/agent/logs/files";
import { failedCheck, GOOD_CHECK } from "@berth/agent/probes/checker";
import type { FakeRuntime } from "@berth/agent/runtime/fake";
import type { FakeContainer } from "@berth/agent/runtime/fake-container";
import type { FakeHost } from "@berth/agent/runtime/fake-host";
import { MemoryDb } from "@berth/agent/state/memory-db";
import { sealerOf } from "@berth/agent/state/seal";
import type { Clock, Logger, Prng } from "@berth/base";
import type { NodeNetworkModel } from "@berth/network";
import type { ApiClient } from "@berth/protocol";
import { DbOfLife } from "./db-of-life.ts";
import { goodDisk } from "./disk.ts";
import type { Life } from "./life.ts";
import type { Identity } from "./line-client.ts";
import type { Link } from "./link.ts";
import type { SimulatedNet } from "./simulated-net.ts";
import type { SkewedClock } from "./skewed-clock.ts";

export interface ContainerEvent {
  readonly machine: string;
  readonly container: FakeContainer;
  readonly kind: string;
}

/** A node's data plane was told what to follow; the machine's `net` shows it already. */
export interface ModelEvent {
  readonly machine: Machine;
  readonly model: NodeNetworkModel;
}

export interface MachineOptions {
  readonly name: string;
  /** The host's own: its wall time may be wrong. */
  readonly clock: SkewedClock;
  readonly newLife: (clock: Clock) => Life;
  readonly prng: Prng;
  readonly host: FakeHost;
  readonly link: Link;
  readonly net: SimulatedNet;
  readonly log: Logger;
  /** How the server knows its agent. */
  readonly identity: Identity;
  readonly clientOf: (life: Life, identity: Identity) => ApiClient;
  /** Deliberate damage: see `Mutation`. */
  readonly bootClockStands: boolean;
  readonly runtimeOf: (host: FakeHost) => FakeRuntime;
  /** The agent cannot start: a bug. */
  readonly onBroken: (error: unknown) => void;
}

const DISK_BYTES = 100e9;
const DISK_FREE_BYTES = 50e9;
const PIDS_MAX = 32_768;

export class Machine {
  readonly name: string;
  readonly host: FakeHost;
  readonly link: Link;
  readonly net: SimulatedNet;
  readonly clock: SkewedClock;
  readonly disk = goodDisk();
  readonly db = new MemoryDb();
  #identity: Identity;
  readonly #logFiles = new MemoryLogFiles();
  readonly #options: MachineOptions;
  #life: Life | undefined;
  #runtime: FakeRuntime | undefined;
  #agent: Agent | undefined;
  #powered = true;

  constructor(options: MachineOptions) {
    this.#options = options;
    this.name = options.name;
    this.clock = options.clock;
    this.#identity = options.identity;
    this.host = options.host;
    this.net = options.net;
    this.link = options.link;
  }

  /** The running agent, once it has started. */
  get agent(): Agent | undefined {
    return this.#agent;
  }

  get agentLives(): boolean {
    return this.#life !== undefined;
  }

  /** How the server knows its agent. */
  get identity(): Identity {
    return this.#identity;
  }

  /** The host joined anew: its agent starts with the new certificate, beside what lies on its disk. */
  joinAs(identity: Identity): void {
    this.killAgent();
    this.#identity = identity;
    this.startAgent();
  }

  get powered(): boolean {
    return this.#powered;
  }

  startAgent(): void {
    if (!this.#powered || this.#life !== undefined) return;
    const { newLife, host, runtimeOf } = this.#options;
    const life = newLife(this.clock);
    const runtime = runtimeOf(host);
    this.#life = life;
    this.#runtime = runtime;
    void this.#start(life, runtime).then(
      (agent) => {
        if (life.alive) this.#agent = agent;
      },
      (error: unknown) => {
        if (life.alive) this.#options.onBroken(error);
      },
    );
  }

  killAgent(): void {
    this.#runtime?.disconnect();
    this.#life?.kill();
    this.#life = undefined;
    this.#agent = undefined;
  }

  powerOff(): void {
    this.killAgent();
    this.host.powerOff();
    this.net.forget();
    this.#powered = false;
  }

  /** Power is back: the engine runs, the agent is started by its supervisor. */
  boot(): void {
    if (this.#powered) return;
    this.#powered = true;
    this.host.boot();
    this.startAgent();
  }

  #start(life: Life, runtime: FakeRuntime): Promise<Agent> {
    const { name, log, host, clientOf, bootClockStands } = this.#options;
    const prng = this.#options.prng.fork();
    return startAgent({
      nodeName: name,
      dataDir: "/nowhere",
      runtimeDir: "/nowhere",
      api: clientOf(life, this.#identity),
      runtime,
      net: this.net.portFor(life),
      clock: life.clock,
      log,
      prng: prng.fork(),
      driver: life.driver(log, prng.fork()),
      settings: { forwarders: [] },
      machine: {
        db: new DbOfLife({ db: this.db, disk: this.disk, life, prng: prng.fork() }),
        // A seal's chance changes nothing that anybody sees.
        sealer: sealerOf(Buffer.alloc(32, 7)),
        logFiles: this.#logFiles,
        check: async ({ containerId }) =>
          host.findContainer(containerId)?.healthy()
            ? GOOD_CHECK
            : failedCheck("it is not healthy"),
        sockets: async () => undefined,
        taskFiles: {
          prepare: async () => [],
          seed: async () => new Uint8Array(),
          remove: async () => {},
        },
        host: {
          bootId: host.bootId,
          // Only differences count: all boots share one clock, and a reboot changes the identifier.
          bootMs: () => (bootClockStands ? 0 : life.clock.monotonic()),
          disk: async () => ({
            sizeBytes: DISK_BYTES,
            freeBytes: this.disk.full ? 0 : DISK_FREE_BYTES,
          }),
          devices: async () => ({ devices: [] }),
          pidsMax: async () => PIDS_MAX,
          portsTaken: async () => [],
          hasInterface: () => true,
          forwarders: async () => [],
          ranges: async () => [],
          underlay: async ({ port }) => ({ address: underlayAddress(name), port, mtu: 1_500 }),
        },
      },
    });
  }
}

/** Of the documentation's range, by the number in the name. */
function underlayAddress(name: string): string {
  return `192.0.2.${/\d+$/.exec(name)?.[0] ?? "254"}`;
}
