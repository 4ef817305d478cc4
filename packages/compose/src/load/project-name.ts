/**
 * The project's name: given, from the environment, from the file, or the directory's.
 */

import { baseName } from "../path.ts";
import { interpolate } from "../text/template.ts";
import { type MapTree, textTree, valueAt } from "../tree/tree.ts";
import type { Environment, Session } from "./session.ts";

/** Lower case, and only what a container's name may have. */
export function normalizeProjectName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, "")
    .replace(/^[_-]+/, "");
}

/** The name and, where a name is not usable, the reason why. */
export function projectNameOf(
  session: Session,
  documents: readonly MapTree[],
  from: {
    readonly given: string | undefined;
    readonly environment: Environment;
    readonly directory: string;
  },
): string {
  const given = from.given ?? (from.environment.get("COMPOSE_PROJECT_NAME") || undefined);
  if (given !== undefined) {
    if (normalizeProjectName(given) === given && given !== "") return given;
    session.problems.fileError(
      documents[0]?.source.file ?? from.directory,
      `the project name ${JSON.stringify(given)} is not valid`,
      {
        expected: "lower-case letters, digits, '-' and '_', the first a letter or digit",
        suggestion: normalizeProjectName(given) || undefined,
      },
    );
    return "invalid";
  }
  const written = nameInFiles(session, documents, from.environment);
  if (written !== undefined && normalizeProjectName(written) === "") {
    const at = documents.find((document) => document.entries.has("name")) ?? documents[0];
    const origin = at?.entries.get("name")?.key;
    if (origin !== undefined)
      session.problems.error(
        origin,
        "name",
        `the project's name ${JSON.stringify(written)} has no letter or digit`,
      );
  }
  const name =
    normalizeProjectName(written ?? "") || normalizeProjectName(baseName(from.directory));
  if (name !== "") return name;
  session.problems.fileError(
    documents[0]?.source.file ?? from.directory,
    "the project has no name",
    {
      expected: "the key name, or a directory with letters in its name",
    },
  );
  return "unnamed";
}

function nameInFiles(
  session: Session,
  documents: readonly MapTree[],
  environment: Environment,
): string | undefined {
  let name: string | undefined;
  for (const document of documents) {
    const value = valueAt(document, "name") ?? textTree(document, "");
    if (value.kind === "scalar" && value.type === "string" && value.text !== "") name = value.text;
  }
  // Left as it is, a variable counts with the letters of its own name, as in the reference.
  if (name === undefined || !session.interpolate) return name;
  return interpolate(name, (variable) => environment.get(variable)).text;
}
