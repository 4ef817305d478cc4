/**
 * What a checker is: one property of the whole cluster, watched during a run from outside of everything
 * that it judges. It reads the journal of the store, the machines and what users were promised; it never
 * asks the server.
 */

import type { Acknowledged } from "../acknowledgements.ts";
import type { Cluster } from "../cluster.ts";
import type { AnswerEvent } from "../line-client.ts";
import type { ContainerEvent, ModelEvent } from "../machine.ts";
import type { Operator } from "../operator.ts";
import type { StackUser } from "../stack-user.ts";
import type { Written } from "../store-journal.ts";

/** What checkers may look at. */
export interface Scene {
  readonly cluster: Cluster;
  readonly users: readonly StackUser[];
  readonly operator: Operator;
  /** Virtual time from the start, milliseconds. */
  readonly nowMs: number;
  /** Timers that wait, of the whole simulation. */
  readonly timers: number;
}

/** Called with a sentence when the property does not hold. */
export type Speak = (sentence: string) => void;

export interface Checker {
  /** Unique, `kebab-case`. */
  readonly name: string;
  /** After each commit; the scene's facts show it already. */
  readonly onWritten?: (written: readonly Written[], scene: Scene, speak: Speak) => void;
  /** A container began to run or its process ended. */
  readonly onContainer?: (event: ContainerEvent, scene: Scene, speak: Speak) => void;
  readonly onModel?: (event: ModelEvent, scene: Scene, speak: Speak) => void;
  readonly onAnswered?: (event: AnswerEvent, scene: Scene, speak: Speak) => void;
  /** Every few virtual seconds. */
  readonly onTick?: (scene: Scene, speak: Speak) => void;
  /** A user got the answer that a write was done. */
  readonly onAcknowledged?: (acknowledged: Acknowledged, scene: Scene, speak: Speak) => void;
  /** A process of ours says that its own code is wrong. */
  readonly onProgrammerError?: (who: string, error: Error, speak: Speak) => void;
  /**
   * What is not as it has to be at last. Asked again and again once faults have ended: the run waits until
   * nothing is named, and what is named when its patience is over is a violation.
   */
  readonly pending?: (scene: Scene) => string | undefined;
  /** The run is over. */
  readonly atEnd?: (scene: Scene, speak: Speak) => void;
}
