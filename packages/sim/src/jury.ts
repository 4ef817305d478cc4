/**
 * The checkers of a run together: hands each event of the cluster to those that watch for it, and keeps what they
 * say. What holds on for a while is said once.
 */

import type { Acknowledged } from "./acknowledgements.ts";
import { allCheckers } from "./checkers/all.ts";
import type { Checker, Scene, Speak } from "./checkers/checker.ts";
import type { AnswerEvent } from "./line-client.ts";
import type { ContainerEvent, ModelEvent } from "./machine.ts";
import type { Written } from "./store-journal.ts";
import type { Trace } from "./trace.ts";

export interface Violation {
  readonly checker: string;
  readonly sentence: string;
  /** Virtual time, milliseconds from the start. */
  readonly atMs: number;
}

/** More violations than these tell nothing new. */
const VIOLATIONS_MAX = 20;

export class Jury {
  readonly violations: Violation[] = [];
  readonly #checkers = allCheckers();
  readonly #said = new Set<string>();
  readonly #trace: Trace;
  readonly #scene: () => Scene;

  /** `scene` is asked at each event. */
  constructor(trace: Trace, scene: () => Scene) {
    this.#trace = trace;
    this.#scene = scene;
  }

  onWritten(written: readonly Written[]): void {
    this.#each((checker, scene, speak) => checker.onWritten?.(written, scene, speak));
  }

  onContainer(event: ContainerEvent): void {
    this.#each((checker, scene, speak) => checker.onContainer?.(event, scene, speak));
  }

  onModel(event: ModelEvent): void {
    this.#each((checker, scene, speak) => checker.onModel?.(event, scene, speak));
  }

  onAnswered(event: AnswerEvent): void {
    this.#each((checker, scene, speak) => checker.onAnswered?.(event, scene, speak));
  }

  onAcknowledged(acknowledged: Acknowledged): void {
    this.#each((checker, scene, speak) => checker.onAcknowledged?.(acknowledged, scene, speak));
  }

  onProgrammerError(who: string, error: Error): void {
    this.#each((checker, _scene, speak) => checker.onProgrammerError?.(who, error, speak));
  }

  onTick(): void {
    this.#each((checker, scene, speak) => checker.onTick?.(scene, speak));
  }

  /** The first thing that is not as it has to be at last. */
  pending(): string | undefined {
    const scene = this.#scene();
    for (const { pending } of this.#checkers) {
      const reason = pending?.(scene);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  /** The run is over: what is pending now is wrong. */
  atEnd(): void {
    this.#each((checker, scene, speak) => {
      const reason = checker.pending?.(scene);
      if (reason !== undefined) speak(reason);
      checker.atEnd?.(scene, speak);
    });
  }

  #each(tell: (checker: Checker, scene: Scene, speak: Speak) => void): void {
    const scene = this.#scene();
    for (const checker of this.#checkers) {
      tell(checker, scene, (sentence) => this.#speak(checker.name, sentence, scene.nowMs));
    }
  }

  #speak(checker: string, sentence: string, atMs: number): void {
    if (this.#said.has(sentence)) return;
    this.#said.add(sentence);
    this.#trace.note("", "V!", `${checker}: ${sentence}`);
    if (this.violations.length < VIOLATIONS_MAX) this.violations.push({ checker, sentence, atMs });
  }
}
