/**
 * What goes wrong, and when: each kind of trouble comes at random from the seed, lasts a while, and ends.
 * When the time of faults is over everything is mended, so that whatever is wrong after that is ours.
 */

import { type Clock, type Prng, sleep } from "@berth/base";
import { NO_FAULTS } from "@berth/control-plane/store/faulty";
import type { Cluster } from "./cluster.ts";
import { CLEAN_LINK, type Link } from "./link.ts";
import type { Machine } from "./machine.ts";
import type { Trace } from "./trace.ts";

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

/** Mean time between two of a kind, over the whole cluster, milliseconds. */
const MEAN_MS = {
  killServer: 45_000,
  killAgent: 25_000,
  crashEngine: 40_000,
  powerOff: 70_000,
  cutLine: 35_000,
  killContainer: 15_000,
  changeFaults: 20_000,
} as const;
type Trouble = keyof typeof MEAN_MS;

/** How long a trouble lasts, milliseconds. */
const LASTS_MS: Partial<Readonly<Record<Trouble, readonly [number, number]>>> = {
  killServer: [50, 8_000],
  killAgent: [50, 6_000],
  crashEngine: [100, 10_000],
  powerOff: [2_000, 20_000],
  cutLine: [500, 45_000],
};

export class Faults {
  /** How often each kind came. */
  readonly counts: Partial<Record<Trouble, number>> = {};
  readonly #options: FaultsOptions;
  readonly #prng: Prng;
  /** Seeds differ in what goes wrong at all: single troubles show other bugs than all at once. */
  readonly #kinds: readonly Trouble[];

  constructor(options: FaultsOptions) {
    this.#options = options;
    this.#prng = options.prng;
    this.#kinds = (Object.keys(MEAN_MS) as Trouble[]).filter(() => this.#prng.chance(0.7));
  }

  /** Starts all kinds of trouble. */
  start(): void {
    for (const kind of this.#kinds) void this.#repeat(kind);
  }

  /** Everything is mended. */
  mendAll(): void {
    const { cluster, userLinks } = this.#options;
    cluster.setStoreFaults(NO_FAULTS);
    cluster.registry.down = false;
    for (const link of [...userLinks, ...cluster.machines.map((machine) => machine.link)]) {
      link.faults = CLEAN_LINK;
      link.mend();
    }
    for (const machine of cluster.machines) {
      machine.host.heal();
      machine.boot();
      if (!machine.host.engineUp) machine.host.restartEngine();
      machine.startAgent();
    }
    cluster.startServer();
  }

  async #repeat(kind: Trouble): Promise<void> {
    const { clock, untilMs } = this.#options;
    for (;;) {
      await sleep(clock, -Math.log(1 - this.#prng.float()) * MEAN_MS[kind]);
      if (clock.monotonic() >= untilMs) return;
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      await this.#cause(kind);
    }
  }

  async #cause(kind: Trouble): Promise<void> {
    const { cluster, clock } = this.#options;
    const [min, max] = LASTS_MS[kind] ?? [0, 0];
    const machine = this.#prng.pick(cluster.machines);
    const mend = this.#begin(kind, machine);
    if (mend === undefined) return;
    await sleep(clock, this.#prng.int(min, max));
    mend();
  }

  /** Begins a trouble; returns what ends it. */
  #begin(kind: Trouble, machine: Machine): (() => void) | undefined {
    const { cluster, trace } = this.#options;
    const { name, host, link } = machine;
    switch (kind) {
      case "killServer":
        cluster.killServer();
        return () => cluster.startServer();
      case "killAgent":
        if (!machine.agentLives) return undefined;
        trace.note(name, "A-", "");
        machine.killAgent();
        return () => this.#startAgent(machine);
      case "crashEngine": {
        if (!host.engineUp || !machine.powered) return undefined;
        const survive = this.#prng.chance(0.5);
        trace.note(name, "E-", survive ? "containers live on" : "with its containers");
        host.crashEngine({ survive });
        return () => this.#restartEngine(machine);
      }
      case "powerOff":
        if (!machine.powered) return undefined;
        trace.note(name, "H-", "");
        machine.powerOff();
        return () => {
          if (machine.powered) return;
          trace.note(name, "H+", "");
          machine.boot();
        };
      case "cutLine":
        trace.note(name, "L-", "");
        link.cut();
        return () => {
          if (!link.isCut) return;
          trace.note(name, "L+", "");
          link.mend();
        };
      case "killContainer":
        this.#killContainer(machine);
        return undefined;
      case "changeFaults":
        this.#changeFaults(machine);
        return undefined;
    }
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

  #killContainer({ name, host }: Machine): void {
    const running = [...host.containers.values()].filter((container) => container.running);
    if (running.length === 0) return;
    const victim = this.#prng.pick(running);
    this.#options.trace.note(name, "X-", victim.request.name);
    if (this.#prng.chance(0.3)) victim.runOutOfMemory();
    else victim.signal("SIGKILL");
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
    };
    machine.link.faults = link;
    for (const each of userLinks) each.faults = link;
    cluster.setStoreFaults({
      latencyMsMax: prng.pick([0, 0, 5, 50]),
      lostReplyChance: rare() / 2,
      lostRequestChance: rare() / 2,
      refusalChance: rare() / 2,
      brokenWatchChance: rare() / 5,
      compactionChance: rare(),
    });
    const engineRate = rare();
    machine.host.failAtRandom(() => engineRate);
    cluster.registry.down = prng.chance(0.15);
    trace.note(machine.name, "F~", `line ${link.latencyMsMax} ms, engine ${engineRate.toFixed(3)}`);
  }
}
