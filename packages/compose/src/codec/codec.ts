/**
 * Codecs: one description of a value is its validator, its typed form, its printed form and its JSON Schema.
 *
 * `read` takes a tree (whatever the user wrote) and gives the typed value, or records problems and gives nothing;
 * `print` gives what `docker compose config` prints for the value. Reading never throws and never stops early.
 */

import type { Problems } from "../problem.ts";
import type { Origin, Tree } from "../tree/tree.ts";
import type { Budget } from "./budget.ts";

/** Printed values. Mappings are `Map`s because the order of keys counts and numbers may be keys. */
export type Printed =
  | string
  | number
  | boolean
  | null
  | PrintedNumber
  | readonly Printed[]
  | PrintedMap;

/** A mapping in the order in which it is printed. */
export type PrintedMap = ReadonlyMap<string, Printed>;

/** A number with its own spelling (32-bit floats). */
export interface PrintedNumber {
  readonly numberText: string;
}

/** JSON leaves some keys standing that YAML leaves out, and drops extensions. */
export type PrintFormat = "json" | "yaml";

/** A JSON Schema (2020-12) fragment. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** What readers share in one load. */
export interface Reading {
  readonly problems: Problems;
  /** The project's directory, clean and absolute: relative paths below it are its own. */
  readonly projectDirectory: string;
  /** Paths of the host are made absolute; otherwise they stay as they are written. */
  readonly resolvePaths: boolean;
  /** What `~` stands for. */
  readonly home: string | undefined;
  /** Values that may be read, repeated ones counted at each use. */
  readonly values: Budget;
  /** Ports that ranges may stand for. */
  readonly ports: Budget;
  /** Reads text with unexpanded variables without complaint (`--no-interpolate`). */
  readonly lenient: boolean;
}

/** See the module comment. */
export interface Codec<T> {
  read(tree: Tree, path: string, reading: Reading): T | undefined;
  /** `undefined`: the key is left out. */
  print(value: T, format: PrintFormat): Printed | undefined;
  readonly schema: JsonSchema;
}

/** Records "expected X, found Y" and gives nothing. */
export function refuse(
  reading: Reading,
  at: Origin,
  path: string,
  problem: {
    readonly found: string;
    readonly expected: string;
    readonly suggestion?: string | undefined;
  },
): undefined {
  // What could not be read stands as nothing: it was told at the same place.
  if (problem.found === "is nothing" && reading.problems.hasErrorAt(at)) return undefined;
  return reading.problems.error(at, path, problem.found, {
    ...(problem.found === "is nothing" ? { absence: true } : {}),
    expected: problem.expected,
    suggestion: problem.suggestion,
  });
}
