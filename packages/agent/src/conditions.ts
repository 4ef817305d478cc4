/** Problems of a node for people: a code, a sentence, what to do. Pure. */

import type { Condition } from "./node-status.ts";

export interface ConditionInput {
  readonly engineProblem: string | undefined;
  readonly memoryProblem: string | undefined;
  readonly netProblems: readonly string[];
  /** The underlay address that was set, which this host does not have. */
  readonly underlayMissing: string | undefined;
  /** Tasks that run although the restored store does not know them. */
  readonly strays: readonly string[];
}

/** Names of tasks that one condition lists; the rest is counted. */
const NAMES_MAX = 5;

export function conditionsOf(input: ConditionInput): readonly Condition[] {
  const conditions: Condition[] = [];
  const { engineProblem, memoryProblem, netProblems, underlayMissing, strays } = input;
  if (engineProblem !== undefined) {
    conditions.push({
      code: "engine-unreachable",
      message: `The container engine does not answer: ${engineProblem}`,
      advice: "Start it; running containers are kept and nothing new is started meanwhile.",
    });
  }
  if (memoryProblem !== undefined) {
    conditions.push({
      code: "secrets-on-disk",
      message: `Secrets of tasks cannot be kept in memory: ${memoryProblem}`,
      advice: "Run the agent as root, or give it a runtime directory on a tmpfs.",
    });
  }
  for (const problem of netProblems) {
    conditions.push({
      code: "network-problem",
      message: problem,
      advice: "berth platform doctor says what to do about it.",
    });
  }
  if (underlayMissing !== undefined) {
    conditions.push({
      code: "underlay-missing",
      message: `No interface of this host that is up has the underlay address ${underlayMissing}: other nodes cannot reach its networks.`,
      advice: "berth platform start --underlay-address with one that it has, or auto.",
    });
  }
  if (strays.length > 0) {
    const names = strays.slice(0, NAMES_MAX).join(", ");
    const more = strays.length > NAMES_MAX ? ` and ${strays.length - NAMES_MAX} more` : "";
    conditions.push({
      code: "store-restored",
      message: `The store was restored and does not know tasks that run here: ${names}${more}.`,
      advice: "They are kept. Deploy their stacks again, or confirm the store's epoch to end them.",
    });
  }
  return conditions;
}
