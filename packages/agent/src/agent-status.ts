/** A running agent as others see it. */

import type { LoopStatus } from "@berth/base";
import type { TaskState } from "@berth/protocol";
import type { WaitReason } from "./task/step-input.ts";

/** What operators see of an agent. */
export interface AgentStatus {
  readonly node: string;
  readonly cluster: string | undefined;
  /** The stream to the server stands. */
  readonly contact: boolean;
  readonly contactProblem: string | undefined;
  readonly engineProblem: string | undefined;
  readonly netProblems: readonly string[];
  readonly tasks: Readonly<Partial<Record<TaskState, number>>>;
  readonly waits: Readonly<Record<string, WaitReason>>;
  /** Exclusive volume → holding task. */
  readonly locks: Readonly<Record<string, string>>;
  /** Statuses that the server has not taken yet. */
  readonly unreported: number;
  readonly sessions: number;
  readonly loops: readonly LoopStatus[];
}

export interface Agent {
  /** Containers go on; their logs are read on by the next agent. */
  stop(): Promise<void>;
  /**
   * Stops every container of this node for the host's sake: endpoints, connections, then the processes, in
   * order of dependency. Resolves with the number that still live, at `untilMs` (wall time) at the latest. The
   * tasks stay wanted: the agent's next life starts them again, this one starts nothing any more.
   */
  stopTasks(untilMs: number): Promise<number>;
  status(): AgentStatus;
}
