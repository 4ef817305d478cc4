export type { Mark } from "./cluster-state.ts";
export { meetsConstraint } from "./constraint.ts";
export {
  CONSTRAINT_OPERATORS,
  type Constraint,
  type ConstraintOperator,
} from "./constraint-form.ts";
export {
  type ConstraintProblem,
  type ConstraintResult,
  parseConstraint,
} from "./constraint-grammar.ts";
export {
  explainFinding,
  explainHints,
  explainPlacement,
  explainRefusal,
  explainRules,
  type NameOf,
} from "./explain.ts";
export * from "./model.ts";
export {
  DEFAULT_REQUESTS,
  type Preemption,
  SCORES,
  type ScheduleOptions,
  type ScoreName,
  WEIGHT_MAX,
  type Weights,
} from "./options.ts";
export {
  MARGIN_PERCENT,
  MEASURED_RESOURCES,
  type MeasuredResource,
  type MeasuredUse,
  OVERCOMMIT_PERCENT_MAX,
  type Overcommit,
} from "./overcommit.ts";
export type { RuleFinding } from "./pipeline.ts";
export * from "./plan.ts";
export {
  explainQuota,
  type Quota,
  QuotaBook,
  type QuotaExcess,
  type QuotaHolder,
} from "./quotas.ts";
export { RESERVATION_LIMITS, type ReservationLimits, Reservations } from "./reservations.ts";
export { WHOLE_MILLIS } from "./resources.ts";
export { tolerates } from "./toleration.ts";
export { schedule, Transaction } from "./transaction.ts";
