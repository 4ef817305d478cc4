/**
 * What is to be done next for a task? The first rule of the table that holds decides.
 *
 * `step` is total, synchronous and pure: it returns the record to write and at most one operation to run
 * after it is written. (attempt, state) never goes back, and each decision that changes nothing names
 * what it waits for; so repeating it always comes to rest (exhaustive test). O(rules).
 * Design page: docs/design/tasks.md
 */

import { assert } from "@berth/base";
import { comparePositions } from "@berth/protocol";
import { newRecord, type TaskRecord } from "./record.ts";
import type { Rule, RuleInput } from "./rule.ts";
import { RUN_RULES } from "./run-rules.ts";
import type { Decision, StepInput } from "./step-input.ts";
import { adoptedRecord, STOP_RULES } from "./stop-rules.ts";

/** Every rule, those of a task that is to end first: its order is their precedence. */
export const STEP_TABLE: readonly Rule[] = [...STOP_RULES, ...RUN_RULES];

/** The decision for `input`, and the rule that made it. */
export function step(input: StepInput): Decision & { readonly rule: string } {
  const record = input.record ?? adoptedRecord(input) ?? freshRecord(input);
  const known: RuleInput = { ...input, record };
  for (const rule of STEP_TABLE) {
    if (!rule.when(known)) continue;
    const decision = rule.then(known);
    assert(
      comparePositions(record, decision.next) <= 0,
      `rule ${rule.name} moves ${record.state} of attempt ${record.attempt} back`,
    );
    return { ...decision, rule: rule.name };
  }
  return { next: record, wait: "settled", rule: "settled" };
}

function freshRecord({ assignment, facts }: StepInput): TaskRecord {
  return newRecord(assignment.task.id, facts.bootId, assignment.reported);
}
