/**
 * What goes wrong, and when: each kind of trouble comes at random from the seed, lasts a while, and ends.
 * When the time of faults is over everything is mended, so that whatever is wrong after that is ours.
 */

import { type Clock, type Prng, sleep } from "@berth/base";
import { NO_FAULTS, type StoreFaults } from "@berth/control-plane/store/faulty";
import type { Cluster } from "./cluster.ts";
import { goodDisk } from "./disk.ts";
import { CLEAN_LINK, type CutDirection, type Link } from "./link.ts";
import type { Machine } from "./machine.ts";
import type { Mark, Trace } from "./trace.ts";
import {
  CLOCK_SKEW_MS_MAX,
  MACHINES_OF_MEAN,
  SLOW_DISK_MS_MAX,
  SLOW_ENGINE_MAX,
  SLOW_STORE_MS_MAX,
  TROUBLES,
  type Trouble,
  type TroubleKind,
} from "./trouble.ts";

export interface FaultsOptions {
  readonly cluster: Cluster;
  /** Lines of users. */
  readonly userLinks: readonly Link[];
  readonly clock: Clock;
  readonly prng: Prng;
  readonly trace: Trace;
  /** Nothing new goes wrong once this is over (monotonic, milliseconds). */
  readonly untilMs: number;
}

export class Faults {
  /** How often each kind came. */
  readonly counts: Partial<Record<Trouble, number>> = {};
  readonly #options: FaultsOptions;
  readonly #prng: Prng;
  /** Seeds differ in what goes wrong at all: single troubles show other bugs than all at once. */
  readonly #kinds: readonly Trouble[];
  #storeFaults: StoreFaults = NO_FAULTS;
  /** Further faults of the store for a while, by the trouble that they are. */
  readonly #spoils = new Map<Trouble, Partial<StoreFaults>>();

  constructor(options: FaultsOptions) {
    this.#options = options;
    this.#prng = options.prng;
    this.#kinds = (Object.keys(TROUBLES) as Trouble[]).filter(() => this.#prng.chance(0.6));
  }

  /** Starts all kinds of trouble. */
  start(): void {
    for (const kind of this.#kinds) void this.#repeat(kind);
  }

  /** Everything is mended. */
  mendAll(): void {
    const { cluster, userLinks } = this.#options;
    this.#storeFaults = NO_FAULTS;
    this.#spoils.clear();
    this.#applyStoreFaults();
    cluster.registry.down = false;
    for (const link of [...userLinks, ...cluster.machines.map((machine) => machine.link)]) {
      link.faults = CLEAN_LINK;
      link.mend();
    }
    for (const machine of cluster.machines) {
      machine.host.heal();
      Object.assign(machine.disk, goodDisk());
      machine.clock.skewMs = 0;
      machine.boot();
      if (!machine.host.engineUp) machine.host.restartEngine();
      machine.startAgent();
    }
    cluster.startServer();
  }

  async #repeat(kind: Trouble): Promise<void> {
    const { clock, untilMs, cluster } = this.#options;
    const { meanMs, hits }: TroubleKind = TROUBLES[kind];
    const share = hits === "machine" ? MACHINES_OF_MEAN / cluster.machines.length : 1;
    for (;;) {
      await sleep(clock, -Math.log(1 - this.#prng.float()) * meanMs * share);
      if (clock.monotonic() >= untilMs) return;
      // Not waited for: with many machines the next one begins while this one lasts.
      void this.#cause(kind);
    }
  }

  async #cause(kind: Trouble): Promise<void> {
    const { cluster, clock } = this.#options;
    const { lastsMs = [0, 0] }: TroubleKind = TROUBLES[kind];
    const machine = this.#prng.pick(cluster.machines);
    const forMs = this.#prng.int(lastsMs[0], lastsMs[1]);
    const mend = this.#begin(kind, machine);
    if (mend === undefined) return;
    await sleep(clock, forMs);
    mend();
  }

  #count(kind: Trouble): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
  }

  /** Begins a trouble; returns what ends it, nothing when it is over at once or could not begin. */
  #begin(kind: Trouble, machine: Machine): (() => void) | undefined {
    const begun = this.#begins[kind](machine);
    if (begun !== "not now") this.#count(kind);
    return typeof begun === "function" ? begun : undefined;
  }

  /** "not now": the machine has that trouble already, or nothing that could have it. */
  readonly #begins: Readonly<
    Record<Trouble, (machine: Machine) => (() => void) | "over" | "not now">
  > = {
    killServer: () => {
      if (this.#options.cluster.server === undefined) return "not now";
      this.#options.cluster.killServer();
      return () => this.#options.cluster.startServer();
    },
    killAgent: (machine) => {
      if (!machine.agentLives) return "not now";
      this.#note(machine, "A-");
      machine.killAgent();
      return () => this.#startAgent(machine);
    },
    crashEngine: (machine) => {
      const { host, powered } = machine;
      if (!host.engineUp || !powered) return "not now";
      const survive = this.#prng.chance(0.5);
      this.#note(machine, "E-", survive ? "containers live on" : "with its containers");
      host.crashEngine({ survive });
      return () => this.#restartEngine(machine);
    },
    powerOff: (machine) => {
      if (!machine.powered) return "not now";
      this.#note(machine, "H-");
      machine.powerOff();
      return () => {
        if (machine.powered) return;
        this.#note(machine, "H+");
        machine.boot();
      };
    },
    cutLine: (machine) => this.#cut(machine, "both"),
    cutOneWay: (machine) => this.#cut(machine, this.#prng.pick(["up", "down"])),
    killContainer: (machine) => (this.#killContainer(machine) ? "over" : "not now"),
    changeFaults: (machine) => {
      this.#changeFaults(machine);
      return "over";
    },
    slowDisk: (machine) => {
      const { disk } = machine;
      disk.commitMsMax = this.#prng.int(100, SLOW_DISK_MS_MAX);
      this.#note(machine, "D~", `a write takes up to ${disk.commitMsMax} ms`);
      return () => {
        disk.commitMsMax = goodDisk().commitMsMax;
      };
    },
    fullDisk: (machine) => {
      const { disk } = machine;
      if (disk.full) return "not now";
      this.#note(machine, "D~", "full");
      disk.full = true;
      return () => {
        this.#note(machine, "D~", "has room again");
        disk.full = false;
      };
    },
    slowEngine: (machine) => {
      const { host } = machine;
      host.slowness = this.#prng.int(2, SLOW_ENGINE_MAX);
      this.#note(machine, "E~", `${host.slowness} times as slow`);
      return () => {
        host.slowness = 1;
      };
    },
    setClock: (machine) => {
      const { clock } = machine;
      clock.skewMs = this.#prng.int(-CLOCK_SKEW_MS_MAX, CLOCK_SKEW_MS_MAX);
      this.#note(machine, "K~", `${clock.skewMs} ms ahead`);
      return () => {
        this.#note(machine, "K~", "right again");
        clock.skewMs = 0;
      };
    },
    fullStore: () => this.#spoilStore("fullStore", { refusalChance: 1 }),
    slowStore: () => this.#spoilStore("slowStore", { latencyMsMax: SLOW_STORE_MS_MAX }),
  };

  #note(machine: Machine, mark: Mark, text = ""): void {
    this.#options.trace.note(machine.name, mark, text);
  }

  #cut(machine: Machine, direction: CutDirection): (() => void) | "not now" {
    const { link } = machine;
    if (link.isCut) return "not now";
    this.#note(machine, "L-", direction === "both" ? "" : `only ${direction}`);
    link.cut(direction);
    return () => {
      if (!link.isCut) return;
      this.#note(machine, "L+");
      link.mend();
    };
  }

  /** For a while on top of its usual faults. */
  #spoilStore(kind: Trouble, faults: Partial<StoreFaults>): (() => void) | "not now" {
    const { trace } = this.#options;
    if (this.#spoils.has(kind)) return "not now";
    trace.note("", "F~", `${kind} begins`);
    this.#spoils.set(kind, faults);
    this.#applyStoreFaults();
    return () => {
      if (!this.#spoils.delete(kind)) return;
      trace.note("", "F~", `${kind} ends`);
      this.#applyStoreFaults();
    };
  }

  #applyStoreFaults(): void {
    const faults = Object.assign({}, this.#storeFaults, ...this.#spoils.values()) as StoreFaults;
    this.#options.cluster.setStoreFaults(faults);
  }

  #startAgent(machine: Machine): void {
    if (machine.agentLives || !machine.powered) return;
    this.#options.trace.note(machine.name, "A+", "");
    machine.startAgent();
  }

  #restartEngine(machine: Machine): void {
    if (machine.host.engineUp || !machine.powered) return;
    this.#options.trace.note(machine.name, "E+", "");
    machine.host.restartEngine();
  }

  #killContainer({ name, host }: Machine): boolean {
    const running = [...host.containers.values()].filter((container) => container.running);
    if (running.length === 0) return false;
    const victim = this.#prng.pick(running);
    this.#options.trace.note(name, "X-", victim.request.name);
    if (this.#prng.chance(0.3)) victim.runOutOfMemory();
    else victim.signal("SIGKILL");
    return true;
  }

  #changeFaults(machine: Machine): void {
    const { cluster, userLinks, trace } = this.#options;
    const prng = this.#prng;
    const rare = () => (prng.chance(0.5) ? 0 : prng.float() * 0.1);
    const link = {
      latencyMsMax: prng.pick([1, 20, 300]),
      lostRequestChance: rare(),
      lostReplyChance: rare(),
      brokenStreamChance: rare() / 5,
      strayChance: 0,
    };
    // A user's request that arrives again after its answer would be another user: nobody knows what is wanted.
    machine.link.faults = { ...link, strayChance: rare() };
    for (const each of userLinks) each.faults = link;
    this.#storeFaults = {
      latencyMsMax: prng.pick([0, 0, 5, 50]),
      lostReplyChance: rare() / 2,
      lostRequestChance: rare() / 2,
      refusalChance: rare() / 2,
      brokenWatchChance: rare() / 5,
      compactionChance: rare(),
    };
    this.#applyStoreFaults();
    const engineRate = rare();
    machine.host.failAtRandom(() => engineRate);
    cluster.registry.down = prng.chance(0.15);
    trace.note(machine.name, "F~", `line ${link.latencyMsMax} ms, engine ${engineRate.toFixed(3)}`);
  }
}
