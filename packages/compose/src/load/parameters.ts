/**
 * Parameters before the load proper: which ones the files declare, and which values variables have for them.
 *
 * Declarations are read from the files that are named, not from what they include. Their texts may have variables
 * of the environment, and none of each other.
 */

import { Budget } from "../codec/budget.ts";
import type { ParameterDeclaration } from "../model/berth-model.ts";
import { Problems } from "../problem.ts";
import { parameters as parametersCodec } from "../spec/berth-parameter-codec.ts";
import { positionOf, type Tree, valueAt } from "../tree/tree.ts";
import { withVariables } from "./documents.ts";
import type { ParsedFile } from "./group.ts";
import { mergeDocuments } from "./merge-documents.ts";
import { type Environment, Session } from "./session.ts";
import type { SourcePlace } from "./source-map.ts";

/** Values that the declarations of a file may have: a thousand parameters of a dozen keys. */
const DECLARED_VALUES_MAX = 20_000;

/** What the files ask for. */
export interface DeclaredParameters {
  readonly declarations: Readonly<Record<string, ParameterDeclaration>>;
  /** Where each one is declared. */
  readonly places: Readonly<Record<string, SourcePlace>>;
  /** Values that the environment or an env file has for them. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Declarations of files that were parsed. Problems of theirs are the load's to tell. */
export function readDeclarations(
  session: Session,
  files: readonly ParsedFile[],
  environment: Environment,
): DeclaredParameters {
  const quiet = new Session(session.files, new Problems(), session.interpolate);
  const trees = files.flatMap(({ context, documents }) =>
    documents.flatMap((document): readonly Tree[] => {
      if (valueAt(valueAt(document, "x-berth"), "parameters") === undefined) return [];
      return [withVariables(quiet, { ...context, environment }, document)];
    }),
  );
  const merged = mergeDocuments(trees, quiet.problems);
  const tree = valueAt(valueAt(merged, "x-berth"), "parameters");
  if (tree?.kind !== "map") return { declarations: {}, places: {}, variables: {} };
  const declarations =
    parametersCodec.read(tree, "x-berth.parameters", {
      problems: quiet.problems,
      projectDirectory: "/",
      resolvePaths: true,
      home: undefined,
      values: new Budget(DECLARED_VALUES_MAX, () => {}),
      ports: new Budget(0, () => {}),
      lenient: true,
    }) ?? {};
  const places = [...tree.entries].map(([name, { key }]): [string, SourcePlace] => [
    name,
    { file: key.source.file, ...positionOf(key) },
  ]);
  const variables = Object.keys(declarations).flatMap((name): readonly [string, string][] => {
    const value = environment.get(name);
    return value === undefined ? [] : [[name, value]];
  });
  return {
    declarations,
    places: Object.fromEntries(places),
    variables: Object.fromEntries(variables),
  };
}

/** `environment` with values of parameters over it, and defaults below it. */
export function withParameters(
  environment: Environment,
  declared: DeclaredParameters,
  given: Readonly<Record<string, string>>,
): Environment {
  const defaults = Object.entries(declared.declarations).flatMap(
    ([name, one]): readonly [string, string][] => {
      const value = one.default ?? (one.required === false ? "" : undefined);
      return value === undefined || one.generate !== undefined ? [] : [[name, value]];
    },
  );
  return new Map([...defaults, ...environment, ...Object.entries(given)]);
}
