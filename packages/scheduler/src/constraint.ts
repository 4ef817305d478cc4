/**
 * Does a node meet a constraint? `constraint-grammar.ts` makes them from text.
 *
 * Words compare without regard to case, as Swarm does. An attribute that a node lacks meets the negative
 * operators (`!=`, `not in`, `not exists`, `not like`) and no other. Pure, O(values).
 */

import { assertNever } from "@berth/base";
import { attributeValues } from "./attribute.ts";
import type { Constraint } from "./constraint-form.ts";
import type { NodeModel } from "./model.ts";
import { compareVersions } from "./version.ts";

/** True when `node` meets `constraint`. */
export function meetsConstraint(node: NodeModel, constraint: Constraint): boolean {
  const actual = attributeValues(node, constraint.attribute);
  const wanted = constraint.values;
  const some = (test: (have: string, want: string) => boolean) =>
    actual.some((have) => wanted.some((want) => test(have, want)));
  switch (constraint.operator) {
    case "==":
    case "in":
      return some(equalTo(constraint));
    case "!=":
    case "not in":
      return !some(equalTo(constraint));
    case "exists":
      return actual.length > 0;
    case "not exists":
      return actual.length === 0;
    case "like":
      return some(matchesPattern);
    case "not like":
      return !some(matchesPattern);
    case "<":
      return some((have, want) => ordered(have, want, (order) => order < 0));
    case "<=":
      return some((have, want) => ordered(have, want, (order) => order <= 0));
    case ">":
      return some((have, want) => ordered(have, want, (order) => order > 0));
    case ">=":
      return some((have, want) => ordered(have, want, (order) => order >= 0));
    default:
      return assertNever(constraint.operator, "constraint operator");
  }
}

/** Addresses may be compared with a range, everything else is compared word for word. */
function equalTo(constraint: Constraint): (have: string, want: string) => boolean {
  return constraint.attribute === "node.ip" ? inRange : sameWord;
}

function sameWord(have: string, want: string): boolean {
  return have.toLowerCase() === want.toLowerCase();
}

/** Is address `have` the address or in the IPv4 range (`10.0.0.0/8`) `want`? */
function inRange(have: string, want: string): boolean {
  const [base = "", prefix] = want.split("/");
  if (prefix === undefined) return sameWord(have, want);
  const address = ipv4(have);
  const network = ipv4(base);
  if (address === undefined || network === undefined) return false;
  const size = 2 ** (32 - Number(prefix));
  return Math.floor(address / size) === Math.floor(network / size);
}

function ipv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  return match.slice(1).reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Numbers compare as numbers, otherwise as versions; what is neither is in no order. */
function ordered(have: string, want: string, holds: (order: number) => boolean): boolean {
  const order = compareVersions(have, want);
  return order !== undefined && holds(order);
}

/**
 * `*` stands for any run of characters, `?` for one. Not a regular expression: patterns come from users,
 * and this takes at most O(pattern × text) steps for any of them.
 */
function matchesPattern(have: string, want: string): boolean {
  const text = have.toLowerCase();
  const pattern = want.toLowerCase();
  let position = 0;
  let star = -1;
  let resume = 0;
  let at = 0;
  while (position < text.length) {
    if (at < pattern.length && (pattern[at] === "?" || pattern[at] === text[position])) {
      at++;
      position++;
    } else if (pattern[at] === "*") {
      star = at++;
      resume = position;
    } else if (star >= 0) {
      // The last star takes one character more.
      at = star + 1;
      position = ++resume;
    } else return false;
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
