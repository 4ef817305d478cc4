/**
 * One run: a cluster, its users and its faults, made from a seed; some minutes of trouble, then calm; the
 * checkers watch from beginning to end. The same seed gives the same run to the last byte of the trace.
 *
 * Design page: docs/design/simulation.md.
 */

import { MINUTE_MS, Prng, SECOND_MS } from "@berth/base";
import type { Acknowledged } from "./acknowledgements.ts";
import { acknowledgedChecker } from "./checkers/acknowledged.ts";
import { addressesChecker } from "./checkers/addresses.ts";
import type { Checker, Scene, Speak } from "./checkers/checker.ts";
import { convergesChecker, unconverged } from "./checkers/converges.ts";
import { exclusiveChecker } from "./checkers/exclusive.ts";
import { flappingChecker } from "./checkers/flapping.ts";
import { forwardChecker } from "./checkers/forward.ts";
import { leavingChecker } from "./checkers/leaving.ts";
import { ownCodeChecker } from "./checkers/own-code.ts";
import { patienceChecker } from "./checkers/patience.ts";
import { roomChecker } from "./checkers/room.ts";
import { slotsChecker } from "./checkers/slots.ts";
import { Cluster, type Mutation } from "./cluster.ts";
import { Faults } from "./faults.ts";
import { Link } from "./link.ts";
import { Narrator } from "./narrator.ts";
import { Operator } from "./operator.ts";
import { processLog } from "./process-log.ts";
import { SHAPES, type Shape } from "./stack-specs.ts";
import { StackUser } from "./stack-user.ts";
import { Trace } from "./trace.ts";
import { VirtualTime } from "./virtual-time.ts";

export interface RunOptions {
  /** 3 by default. */
  readonly machines?: number;
  /** Deliberate damage, to show that checkers speak. */
  readonly mutation?: Mutation;
  /** Further shapes than drawn from the seed; for runs that are about one kind of stack. */
  readonly shapes?: readonly Shape[];
}

export interface Violation {
  readonly checker: string;
  readonly sentence: string;
  /** Virtual time, milliseconds from the start. */
  readonly atMs: number;
}

export interface Statistics {
  readonly virtualMs: number;
  /** From the end of faults until everything was as wanted. */
  readonly calmMs: number;
  readonly timers: number;
  readonly commits: number;
  readonly tasks: number;
  readonly faults: Readonly<Record<string, number>>;
  /** What was seen how often. */
  readonly seen: Readonly<Record<string, number>>;
}

export interface RunResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
  /** Of the whole trace. */
  readonly digest: string;
  readonly statistics: Statistics;
}

/** Time of users and faults. */
const TROUBLE_MS = { min: 2 * MINUTE_MS, max: 4 * MINUTE_MS } as const;
/** Everything that waits (back-off, quarantine, deadlines of rollouts) is over within this. */
const CALM_MS_MAX = 6 * MINUTE_MS;
/** What is as wanted must stay so. */
const STABLE_MS = 10 * SECOND_MS;
const STACKS = { min: 2, max: 4 } as const;
/** More violations than these tell nothing new. */
const VIOLATIONS_MAX = 20;

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
  readonly #troubleMs: number;
  readonly #violations: Violation[] = [];
  readonly #checkers: readonly Checker[] = [
    slotsChecker(),
    exclusiveChecker(),
    roomChecker(),
    addressesChecker(),
    leavingChecker(),
    acknowledgedChecker(),
    forwardChecker(),
    patienceChecker(),
    flappingChecker(),
    convergesChecker(),
    ownCodeChecker(),
  ];

  constructor(seed: number, options: RunOptions) {
    this.#seed = seed;
    this.#prng = new Prng(seed);
    this.#time = new VirtualTime();
    const { clock } = this.#time;
    this.#trace = new Trace(() => clock.now());
    this.#narrator = new Narrator(this.#trace);
    this.#troubleMs = this.#prng.int(TROUBLE_MS.min, TROUBLE_MS.max);
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
      untilMs: this.#troubleMs,
    });
  }

  async run(): Promise<RunResult> {
    const time = this.#time;
    this.#trace.note(
      "",
      "==",
      `seed ${this.#seed}: ${this.#users.map(({ stack }) => stack).join(" ")}`,
    );
    await this.#cluster.start();
    for (const user of this.#users) void user.run();
    void this.#operator.run();
    this.#faults.start();
    await time.run(this.#troubleMs);
    this.#trace.note("", "==", "faults end");
    this.#faults.mendAll();
    const calmMs = await this.#calm();
    for (const checker of this.#checkers) checker.atEnd?.(this.#scene, this.#speakFor(checker));
    this.#cluster.end();
    return this.#result(calmMs);
  }

  get #scene(): Scene {
    return { cluster: this.#cluster, users: this.#users, operator: this.#operator };
  }

  /** Waits until everything is as wanted, and stays so. Returns how long it took. */
  async #calm(): Promise<number> {
    const { clock } = this.#time;
    const start = clock.monotonic();
    let since: number | undefined;
    while (clock.monotonic() - start < CALM_MS_MAX) {
      const reason = unconverged(this.#scene);
      if (reason !== undefined) since = undefined;
      else since ??= clock.monotonic();
      if (since !== undefined && clock.monotonic() - since >= STABLE_MS) return since - start;
      await this.#time.run(SECOND_MS);
    }
    return CALM_MS_MAX;
  }

  /** What holds on for a while is said once. */
  #speakFor({ name }: Checker): Speak {
    return (sentence) => {
      if (this.#violations.some((each) => each.sentence === sentence)) return;
      this.#trace.note("", "V!", `${name}: ${sentence}`);
      if (this.#violations.length === VIOLATIONS_MAX) return;
      const atMs = this.#time.clock.monotonic();
      this.#violations.push({ checker: name, sentence, atMs });
    };
  }

  #makeCluster({ machines = 3, mutation }: RunOptions): Cluster {
    const prng = this.#prng.fork();
    const onProgrammerError = (who: string, error: Error) => {
      for (const checker of this.#checkers) {
        checker.onProgrammerError?.(who, error, this.#speakFor(checker));
      }
    };
    return new Cluster({
      clock: this.#time.clock,
      prng,
      trace: this.#trace,
      log: (who) => processLog({ who, trace: this.#trace, onProgrammerError }),
      machines,
      ...(mutation === undefined ? {} : { mutation }),
      onWritten: (written) => {
        this.#narrator.commit(written);
        for (const checker of this.#checkers) {
          checker.onWritten?.(written, this.#scene, this.#speakFor(checker));
        }
      },
      onContainer: (machine, container, kind) => {
        this.#narrator.container(machine, container, kind, this.#cluster.facts);
        for (const checker of this.#checkers) {
          const speak = this.#speakFor(checker);
          checker.onContainer?.({ machine, container, kind }, this.#scene, speak);
        }
      },
      onBroken: (who, error) =>
        onProgrammerError(who, error instanceof Error ? error : new Error(String(error))),
    });
  }

  #makeUsers({ shapes }: RunOptions, links: Link[]): StackUser[] {
    const { clock } = this.#time;
    const all = Object.keys(SHAPES) as Shape[];
    const count = this.#prng.int(STACKS.min, STACKS.max);
    const drawn = shapes ?? Array.from({ length: count }, () => this.#prng.pick(all));
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
        untilMs: this.#troubleMs,
        onAcknowledged: (acknowledged) => this.#acknowledged(acknowledged),
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
      nodes: this.#cluster.machines.map(({ name }) => name),
      clock,
      prng,
      trace: this.#trace,
      untilMs: this.#troubleMs,
    });
  }

  #acknowledged(acknowledged: Acknowledged): void {
    for (const checker of this.#checkers) {
      checker.onAcknowledged?.(acknowledged, this.#scene, this.#speakFor(checker));
    }
  }

  #result(calmMs: number): RunResult {
    const { commits, tasks, seen } = this.#narrator;
    return {
      seed: this.#seed,
      violations: this.#violations,
      trace: this.#trace.lines,
      digest: this.#trace.digest(),
      statistics: {
        virtualMs: this.#time.clock.monotonic(),
        calmMs,
        timers: this.#time.steps,
        commits,
        tasks,
        faults: { ...this.#faults.counts },
        seen: Object.fromEntries(seen),
      },
    };
  }
}
