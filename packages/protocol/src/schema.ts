/**
 * From a schema to a type and to a parser: one description per message is validation, TypeScript type and
 * OpenAPI 3.1 at once (TypeBox schemas are JSON Schema).
 *
 * Parsers are compiled on first use: compiling costs about a millisecond each, which a short-lived command
 * should not pay for messages that it never sees.
 */

import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { ProtocolError } from "./errors.ts";

/** A value that nobody changes after it was made. */
export type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** The type of what a schema describes. */
export type Of<Schema extends TSchema> = DeepReadonly<Static<Schema>>;

/** One thing that is wrong with a message. */
export interface SchemaProblem {
  /** JSON pointer to the value, "" for the whole. */
  readonly pointer: string;
  readonly message: string;
}

interface Checker {
  Check(value: unknown): boolean;
  Errors(value: unknown): readonly {
    readonly keyword: string;
    readonly instancePath: string;
    readonly message: string;
    readonly params: object;
  }[];
}

const compiled = new WeakMap<TSchema, Checker>();

function checkerOf(schema: TSchema): Checker {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const made: Checker = Compile(schema);
  compiled.set(schema, made);
  return made;
}

/** No more problems than this are listed: the rest rarely helps. */
const SCHEMA_PROBLEMS_MAX = 20;

/** What is wrong with `value`; empty when it fits. */
export function problemsOf(schema: TSchema, value: unknown): SchemaProblem[] {
  const checker = checkerOf(schema);
  if (checker.Check(value)) return [];
  const seen = new Set<string>();
  const problems: SchemaProblem[] = [];
  for (const error of checker.Errors(value)) {
    // A forbidden property is reported twice: by its own false schema and by its parent.
    if (error.keyword === "additionalProperties") continue;
    if (problems.length === SCHEMA_PROBLEMS_MAX || seen.has(error.instancePath)) continue;
    seen.add(error.instancePath);
    const message = error.keyword === "boolean" ? "is not a known field" : error.message;
    problems.push({ pointer: error.instancePath, message });
  }
  return problems;
}

/**
 * `value` as the type that `schema` describes.
 *
 * @throws ProtocolError `invalid_request` listing every problem (at most 20) with its place.
 */
export function parseAs<Schema extends TSchema>(
  schema: Schema,
  value: unknown,
  what: string,
): Of<Schema> {
  const problems = problemsOf(schema, value);
  if (problems.length === 0) return value as Of<Schema>;
  const first = problems
    .slice(0, 3)
    .map((problem) => `${problem.pointer || "/"} ${problem.message}`)
    .join("; ");
  throw new ProtocolError("invalid_request", `${what} is not valid: ${first}`, { problems });
}
