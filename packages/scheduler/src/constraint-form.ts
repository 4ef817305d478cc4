export const CONSTRAINT_OPERATORS = [
  "==",
  "!=",
  "<",
  "<=",
  ">",
  ">=",
  "in",
  "not in",
  "exists",
  "not exists",
  "like",
  "not like",
] as const;
export type ConstraintOperator = (typeof CONSTRAINT_OPERATORS)[number];

/** One condition on a node, for example `node.labels.zone in (a, b)`. Made by `parseConstraint`. */
export interface Constraint {
  /** Checked name, its fixed part in lower case: `node.labels.Zone`. */
  readonly attribute: string;
  readonly operator: ConstraintOperator;
  /** None for `exists`, one or more for `in`, one for all others. */
  readonly values: readonly string[];
  /** As written, without outer space: what messages show. */
  readonly text: string;
}
