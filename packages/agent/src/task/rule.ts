/** The shape of a row of the step table; the rows are in stop-rules.ts and run-rules.ts. */

import type { TaskRecord } from "./record.ts";
import type { Decision, StepInput } from "./step-input.ts";

/** An input whose record is known. */
export interface RuleInput extends StepInput {
  readonly record: TaskRecord;
}

/** One row of the table. */
export interface Rule {
  readonly name: string;
  /** Why it is so; shown in the reference. */
  readonly why: string;
  readonly when: (input: RuleInput) => boolean;
  readonly then: (input: RuleInput) => Decision;
}
