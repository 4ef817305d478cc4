/**
 * One run: a cluster, its users and its faults, made from a seed; some minutes of trouble, then calm; the
 * checkers watch from beginning to end. The same seed gives the same run to the last byte of the trace.
 *
 * Design page: docs/design/simulation.md.
 */

import { Prng, SECOND_MS } from "@berth/base";
import type { Scene } from "./checkers/checker.ts";
import { Cluster, type Mutation } from "./cluster.ts";
import { Faults } from "./faults.ts";
import { Jury, type Violation } from "./jury.ts";
import { Link } from "./link.ts";
import { Narrator } from "./narrator.ts";
import { Operator } from "./operator.ts";
import { processLog } from "./process-log.ts";
import { type DrawnScale, drawScale, SCALES, type ScaleName } from "./scale.ts";
import { SHAPES, type Shape } from "./stack-specs.ts";
import { StackUser } from "./stack-user.ts";
import { Trace } from "./trace.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface RunOptions {
  /** `small` by default. */
  readonly scale?: ScaleName;
  /** Drawn from the seed by default. */
  readonly machines?: number;
  /** Deliberate damage, to show that checkers speak. */
  readonly mutation?: Mutation;
  /** Further shapes than drawn from the seed; for runs that are about one kind of stack. */
  readonly shapes?: readonly Shape[];
}

export interface Statistics {
  readonly machines: number;
  readonly virtualMs: number;
  /** From the end of faults until everything was as wanted. */
  readonly calmMs: number;
  readonly timers: number;
  readonly commits: number;
  readonly tasks: number;
  readonly faults: Readonly<Record<string, number>>;
  /** What the operator did how often. */
  readonly operator: Readonly<Record<string, number>>;
  /** What was seen how often. */
  readonly seen: Readonly<Record<string, number>>;
}

export type { Violation } from "./jury.ts";

export interface RunResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
  /** Of the whole trace. */
  readonly digest: string;
  readonly statistics: Statistics;
}

/** What is as wanted must stay so. */
const STABLE_MS = 10 * SECOND_MS;
/** Between two looks of checkers at what has no event of its own. */
const TICK_MS = 5 * SECOND_MS;

/** Runs a seed to its end. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<RunResult> {
  const run = new Run(seed, options);
  return await run.run();
}

class Run {
  readonly #seed: number;
  readonly #prng: Prng;
  readonly #time: VirtualTime;
  readonly #trace: Trace;
  readonly #narrator: Narrator;
  readonly #cluster: Cluster;
  readonly #users: readonly StackUser[];
  readonly #operator: Operator;
  readonly #faults: Faults;
  readonly #scale: DrawnScale;
  readonly #jury: Jury;

  constructor(seed: number, options: RunOptions) {
    this.#seed = seed;
    this.#prng = new Prng(seed);
    this.#time = new VirtualTime();
    const { clock } = this.#time;
    this.#trace = new Trace(() => clock.now());
    this.#narrator = new Narrator(this.#trace);
    this.#jury = new Jury(this.#trace, () => this.#scene);
    this.#scale = drawScale(SCALES[options.scale ?? "small"], this.#prng, options.machines);
    this.#cluster = this.#makeCluster(options);
    const links: Link[] = [];
    this.#users = this.#makeUsers(options, links);
    this.#operator = this.#makeOperator(links);
    this.#faults = new Faults({
      cluster: this.#cluster,
      userLinks: links,
      clock,
      prng: this.#prng.fork(),
      trace: this.#trace,
      untilMs: this.#scale.troubleMs,
    });
  }

  async run(): Promise<RunResult> {
    const { machines, troubleMs } = this.#scale;
    const stacks = this.#users.map(({ stack }) => stack).join(" ");
    this.#trace.note("", "==", `seed ${this.#seed}: ${machines} machines, ${stacks}`);
    await this.#cluster.start();
    for (const user of this.#users) void user.run();
    void this.#operator.run();
    this.#faults.start();
    while (this.#time.clock.monotonic() < troubleMs) {
      await this.#time.run(Math.min(TICK_MS, troubleMs - this.#time.clock.monotonic()));
      this.#jury.onTick();
    }
    this.#trace.note("", "==", "faults end");
    this.#faults.mendAll();
    const calmMs = await this.#calm();
    this.#jury.onTick();
    this.#jury.atEnd();
    this.#cluster.end();
    return this.#result(calmMs);
  }

  get #scene(): Scene {
    const { clock } = this.#time;
    return {
      cluster: this.#cluster,
      users: this.#users,
      operator: this.#operator,
      nowMs: clock.monotonic(),
      timers: clock.waiting,
    };
  }

  /** Waits until everything is as wanted, and stays so. Returns how long it took. */
  async #calm(): Promise<number> {
    const { clock } = this.#time;
    const start = clock.monotonic();
    let since: number | undefined;
    while (clock.monotonic() - start < this.#scale.calmMsMax) {
      const reason = this.#jury.pending();
      if (reason !== undefined) since = undefined;
      else since ??= clock.monotonic();
      if (since !== undefined && clock.monotonic() - since >= STABLE_MS) return since - start;
      await this.#time.run(SECOND_MS);
    }
    return this.#scale.calmMsMax;
  }

  #makeCluster({ mutation }: RunOptions): Cluster {
    const jury = this.#jury;
    const onProgrammerError = (who: string, error: Error) => jury.onProgrammerError(who, error);
    return new Cluster({
      clock: this.#time.clock,
      prng: this.#prng.fork(),
      trace: this.#trace,
      log: (who) => processLog({ who, trace: this.#trace, onProgrammerError }),
      machines: this.#scale.machines,
      ...(mutation === undefined ? {} : { mutation }),
      onWritten: (written) => {
        this.#narrator.commit(written);
        jury.onWritten(written);
      },
      onContainer: (event) => {
        this.#narrator.container(event, this.#cluster.facts);
        jury.onContainer(event);
      },
      onModel: (event) => jury.onModel(event),
      onAnswered: (event) => jury.onAnswered(event),
      onBroken: (who, error) =>
        onProgrammerError(who, error instanceof Error ? error : new Error(String(error))),
    });
  }

  #makeUsers({ shapes }: RunOptions, links: Link[]): StackUser[] {
    const { clock } = this.#time;
    const all = Object.keys(SHAPES) as Shape[];
    const length = this.#scale.stacks;
    const drawn = shapes ?? Array.from({ length }, () => this.#prng.pick(all));
    return drawn.map((shape, index) => {
      const prng = this.#prng.fork();
      const link = new Link(clock, prng.fork());
      links.push(link);
      return new StackUser({
        stack: `${shape}${index + 1}`,
        shape,
        api: this.#cluster.userClient(link),
        clock,
        prng,
        trace: this.#trace,
        newId: () => this.#cluster.newId(),
        untilMs: this.#scale.troubleMs,
        onAcknowledged: (acknowledged) => this.#jury.onAcknowledged(acknowledged),
      });
    });
  }

  #makeOperator(links: Link[]): Operator {
    const { clock } = this.#time;
    const prng = this.#prng.fork();
    const link = new Link(clock, prng.fork());
    links.push(link);
    return new Operator({
      api: this.#cluster.userClient(link),
      cluster: this.#cluster,
      clock,
      prng,
      trace: this.#trace,
      untilMs: this.#scale.troubleMs,
    });
  }

  #result(calmMs: number): RunResult {
    const { commits, tasks, seen } = this.#narrator;
    return {
      seed: this.#seed,
      violations: this.#jury.violations,
      trace: this.#trace.lines,
      digest: this.#trace.digest(),
      statistics: {
        machines: this.#scale.machines,
        virtualMs: this.#time.clock.monotonic(),
        calmMs,
        timers: this.#time.steps,
        commits,
        tasks,
        faults: { ...this.#faults.counts },
        operator: { ...this.#operator.counts },
        seen: Object.fromEntries(seen),
      },
    };
  }
}
