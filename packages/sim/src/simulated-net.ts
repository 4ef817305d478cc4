/**
 * The data plane of a simulated node. Names follow a model at once, its ingress a moment later, now and then
 * much later: what it is told and what it does are two things, and checkers look at the second.
 */

import type { NetPort } from "@berth/agent/net/net-port";
import type { Clock, Prng } from "@berth/base";
import type { ApplyReport, NodeNetworkModel, PartReport } from "@berth/network";
import { ProtocolError } from "@berth/protocol";
import type { Life } from "./life.ts";

/** A model, when it was told, and from when on requests follow it. Monotonic, milliseconds. */
export interface ToldModel {
  readonly model: NodeNetworkModel;
  readonly toldAt: number;
  readonly followedAt: number;
}

export interface SimulatedNetOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  /** Damage for the checker's test: it says that it follows as soon as it is told. */
  readonly lies: boolean;
  /** Damage: what is told differs from what the agent says. */
  readonly altered?: (model: NodeNetworkModel) => NodeNetworkModel;
  readonly onTold: (model: NodeNetworkModel) => void;
}

/** Longer than any drain of a simulated service, so that what is asked about is there. */
const KEPT_MAX = 500;
const USUAL_LAG_MS = 100;
/** A reload on a machine that is full. */
const LONG_LAG = { chance: 0.05, ms: 3_000 } as const;
/** A HAProxy that hangs: longer than anybody waits. */
const HANG = { chance: 0.005, ms: 20_000 } as const;

export class SimulatedNet {
  readonly #options: SimulatedNetOptions;
  #told: ToldModel[] = [];

  constructor(options: SimulatedNetOptions) {
    this.#options = options;
  }

  /** What was told, oldest first, since the host was booted. Outlives the agent, not the host. */
  get told(): readonly ToldModel[] {
    return this.#told;
  }

  /** What requests followed at `at`. */
  followedAt(at: number): ToldModel | undefined {
    return this.#told.findLast(({ followedAt }) => followedAt <= at);
  }

  /** The host has lost its power. */
  forget(): void {
    this.#told = [];
  }

  /** The port as one life of the agent has it. */
  portFor(life: Life): NetPort {
    return {
      apply: (model) =>
        life.only(async () => {
          this.#refuseOlder(model.generation);
          this.#tell(model);
          return this.#report();
        }),
      status: () =>
        life.only(async () => ({
          ...this.#report(),
          pid: 1,
          startedAt: 0,
          boundPorts: [],
          loops: [],
        })),
      sessions: () => life.only(async () => ({ sessions: 0, queued: 0 })),
    };
  }

  /** As the real one: an agent whose clock was set back begins below what is known, and has to hear so. */
  #refuseOlder(generation: number): void {
    const known = this.#told.at(-1)?.model.generation ?? 0;
    if (generation >= known) return;
    const message = `model ${generation} is older than ${known}`;
    throw new ProtocolError("precondition_failed", message, { generation: known });
  }

  #tell(said: NodeNetworkModel): void {
    const { clock, altered, onTold } = this.#options;
    const model = altered?.(said) ?? said;
    const toldAt = clock.monotonic();
    // In order: a model is never overtaken by the one before.
    const followedAt = Math.max(this.#told.at(-1)?.followedAt ?? 0, toldAt + this.#lagMs());
    this.#told.push({ model, toldAt, followedAt });
    // In large pieces: moving a few hundred at each word would cost more than the word.
    if (this.#told.length > 2 * KEPT_MAX) this.#told = this.#told.slice(-KEPT_MAX);
    onTold(model);
  }

  #lagMs(): number {
    const { prng } = this.#options;
    if (prng.chance(HANG.chance)) return HANG.ms;
    return prng.int(0, prng.chance(LONG_LAG.chance) ? LONG_LAG.ms : USUAL_LAG_MS);
  }

  #report(): ApplyReport {
    const generation = this.#told.at(-1)?.model.generation ?? 0;
    const { clock, lies } = this.#options;
    const followed = lies
      ? generation
      : (this.followedAt(clock.monotonic())?.model.generation ?? 0);
    const part: PartReport = { state: "ok", generation, problems: [] };
    const ingress = { ...part, generation: followed };
    return { generation, dns: part, ingress, firewall: part };
  }
}
