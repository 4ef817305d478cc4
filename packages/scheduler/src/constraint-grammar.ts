/**
 * Constraints as people write them.
 *
 *     node.labels.zone==a           node.labels.zone in (a, b)      node.labels.gpu exists
 *     node.role != manager          node.labels.zone not in (c)     node.labels.gpu not exists
 *     node.labels.kernel >= 5.15    node.hostname like web-*        node.hostname not like *-test
 *
 * The first two forms are Swarm's and mean what they mean there. Space around operators is free; values
 * may stand in quotes. Text that is no constraint gives a problem with the column where it begins to be
 * wrong: the caller adds file and line.
 */

import { ATTRIBUTE_FORMS, normalAttribute } from "./attribute.ts";
import {
  CONSTRAINT_OPERATORS,
  type Constraint,
  type ConstraintOperator,
} from "./constraint-form.ts";
import { isComparable } from "./version.ts";

export interface ConstraintProblem {
  readonly kind: "problem";
  readonly code:
    | "empty"
    | "too-long"
    | "unknown-attribute"
    | "unknown-operator"
    | "missing-value"
    | "unexpected-value"
    | "bad-value";
  readonly text: string;
  /** Where it begins to be wrong, counted from 1. */
  readonly column: number;
  /** What is wrong and what would be right, for a reader. */
  readonly message: string;
}

export type ConstraintResult =
  | { readonly kind: "constraint"; readonly constraint: Constraint }
  | ConstraintProblem;

/** Longer is a mistake, and what messages repeat stays bounded. */
export const CONSTRAINT_CHARS_MAX = 1_000;

/** Reads one constraint. O(length). */
export function parseConstraint(text: string): ConstraintResult {
  const problem = (code: ConstraintProblem["code"], offset: number, message: string) =>
    ({ kind: "problem", code, text, column: offset + 1, message }) as const;
  if (text.trim() === "") return problem("empty", 0, "a constraint is empty");
  if (text.length > CONSTRAINT_CHARS_MAX) {
    return problem("too-long", 0, `longer than ${CONSTRAINT_CHARS_MAX} characters`);
  }
  const start = text.length - text.trimStart().length;
  const name = /^[A-Za-z0-9_./-]*/.exec(text.slice(start))?.[0] ?? "";
  const attribute = normalAttribute(name);
  if (attribute === undefined) {
    const known = ATTRIBUTE_FORMS.join(", ");
    return problem("unknown-attribute", start, `no attribute "${name}"; there are ${known}`);
  }
  const found = findOperator(text, start + name.length);
  if (found === undefined) {
    const known = CONSTRAINT_OPERATORS.join(", ");
    const message = `expected an operator after ${name}: ${known}`;
    return problem("unknown-operator", start + name.length, message);
  }
  const { operator, end } = found;
  const values = readValues(operator, text.slice(end));
  if (typeof values === "string")
    return problem(valueCode(values), end, MESSAGES[values](operator));
  const wrong = values.find((value) => !suits(attribute, operator, value));
  if (wrong !== undefined) return problem("bad-value", end, badValue(attribute, operator, wrong));
  return { kind: "constraint", constraint: { attribute, operator, values, text: text.trim() } };
}

/** Longer spellings first, so that `<=` is not read as `<`. */
const SPELLINGS: readonly { readonly pattern: RegExp; readonly operator: ConstraintOperator }[] = [
  { pattern: /^\s*==/, operator: "==" },
  { pattern: /^\s*!=/, operator: "!=" },
  { pattern: /^\s*<=/, operator: "<=" },
  { pattern: /^\s*>=/, operator: ">=" },
  { pattern: /^\s*</, operator: "<" },
  { pattern: /^\s*>/, operator: ">" },
  { pattern: /^\s+not\s+in(?![A-Za-z0-9_])/i, operator: "not in" },
  { pattern: /^\s+not\s+exists(?![A-Za-z0-9_])/i, operator: "not exists" },
  { pattern: /^\s+not\s+like(?![A-Za-z0-9_])/i, operator: "not like" },
  { pattern: /^\s+in(?![A-Za-z0-9_])/i, operator: "in" },
  { pattern: /^\s+exists(?![A-Za-z0-9_])/i, operator: "exists" },
  { pattern: /^\s+like(?![A-Za-z0-9_])/i, operator: "like" },
];

function findOperator(text: string, from: number) {
  const rest = text.slice(from);
  for (const { pattern, operator } of SPELLINGS) {
    const match = pattern.exec(rest);
    if (match !== null) return { operator, end: from + match[0].length };
  }
  return undefined;
}

type ValueFault = "missing" | "unexpected" | "open-list" | "empty-in-list";

function readValues(operator: ConstraintOperator, rest: string): readonly string[] | ValueFault {
  const text = rest.trim();
  if (operator === "exists" || operator === "not exists") return text === "" ? [] : "unexpected";
  if (text === "") return "missing";
  if (operator !== "in" && operator !== "not in") return [unquoted(text)];
  const list = /^\((.*)\)$|^\[(.*)\]$|^([^()[\]].*)$/s.exec(text);
  if (list === null) return "open-list";
  const values = splitList(list[1] ?? list[2] ?? list[3] ?? "");
  return values.some((value) => value === "") ? "empty-in-list" : values.map(unquoted);
}

/** Splits at commas outside quotes. */
function splitList(text: string): readonly string[] {
  const items = [""];
  let quote = "";
  for (const char of text) {
    if (char === "," && quote === "") {
      items.push("");
      continue;
    }
    if (quote === "" && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = "";
    items[items.length - 1] += char;
  }
  return items.map((item) => item.trim());
}

function unquoted(text: string): string {
  const match = /^"([^"]*)"$|^'([^']*)'$/.exec(text);
  return match === null ? text : (match[1] ?? match[2] ?? "");
}

function valueCode(fault: ValueFault): ConstraintProblem["code"] {
  if (fault === "missing") return "missing-value";
  return fault === "unexpected" ? "unexpected-value" : "bad-value";
}

const MESSAGES: Readonly<Record<ValueFault, (operator: ConstraintOperator) => string>> = {
  missing: (operator) => `expected a value after ${operator}`,
  unexpected: (operator) => `${operator} takes no value`,
  "open-list": (operator) => `expected a list after ${operator}, for example (a, b)`,
  "empty-in-list": (operator) => `a value in the list after ${operator} is empty`,
};

function suits(attribute: string, operator: ConstraintOperator, value: string): boolean {
  if (/^[<>]=?$/.test(operator)) return isComparable(value);
  if (attribute !== "node.ip" || !value.includes("/")) return true;
  const match = /^\d{1,3}(?:\.\d{1,3}){3}\/(\d{1,2})$/.exec(value);
  return match !== null && Number(match[1]) <= 32;
}

function badValue(attribute: string, operator: ConstraintOperator, value: string): string {
  if (attribute === "node.ip") return `"${value}" is no IPv4 range such as 10.0.0.0/8`;
  return `${operator} compares numbers and versions, and "${value}" is neither`;
}
