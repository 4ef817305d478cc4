/**
 * `include`: other stack files, each with its own directory and environment, whose resources become part of this one.
 *
 * An included file is loaded whole (with its own includes and extends) and its resources are taken over; a name
 * that is there already must mean the same. A circle of includes is drawn as a path.
 */

import { nearestWord } from "@berth/base";
import { CHAIN_MAX, INCLUSIONS_MAX } from "../limits.ts";
import { parentPath, resolvePath } from "../path.ts";
import { sameTree } from "../tree/same-tree.ts";
import {
  isNull,
  kindName,
  type MapEntry,
  type MapTree,
  mapTree,
  positionOf,
  type Tree,
  textTree,
  valueAt,
  withEntry,
  withoutEntry,
} from "../tree/tree.ts";
import type { FileContext } from "./documents.ts";
import { isRemoteFile, REMOTE_EXPECTED, REMOTE_FILE } from "./extends.ts";
import { type Environment, type Session, withDefaults } from "./session.ts";

/** Loads a group of files into one tree: `loadGroup`, handed in because the two call each other. */
export type GroupLoader = (
  files: readonly { readonly file: string; readonly asked: Tree; readonly path: string }[],
  place: { readonly baseDirectory: string; readonly environment: Environment },
  chain: readonly string[],
) => MapTree;

interface Inclusion {
  readonly paths: readonly Tree[];
  readonly projectDirectory: Tree | undefined;
  readonly envFiles: readonly Tree[];
}

const RESOURCES = ["services", "volumes", "networks", "secrets", "configs", "models"] as const;

/** `document` with everything that its `include` names. */
export function applyInclude(
  session: Session,
  context: FileContext,
  document: MapTree,
  how: { readonly load: GroupLoader; readonly chain: readonly string[] },
): MapTree {
  const include = valueAt(document, "include");
  if (include === undefined) return document;
  let model = withoutEntry(document, "include");
  if (isNull(include)) return model;
  if (include.kind !== "seq") {
    session.problems.error(include, "include", `is ${kindName(include)}`, { expected: "a list" });
    return model;
  }
  for (const [index, item] of include.items.entries()) {
    const path = `include[${index}]`;
    const inclusion = readInclusion(session, item, path);
    if (inclusion === undefined) continue;
    const included = loadInclusion(session, context, { inclusion, path }, how);
    if (included !== undefined) model = importResources(session, included, model);
  }
  return model;
}

function readInclusion(session: Session, item: Tree, path: string): Inclusion | undefined {
  if (item.kind === "scalar" && item.type === "string") {
    return { paths: [item], projectDirectory: undefined, envFiles: [] };
  }
  if (item.kind !== "map") {
    return session.problems.error(item, path, `is ${kindName(item)}`, {
      expected: "a path, or a mapping with path, project_directory, env_file",
    });
  }
  const keys = ["path", "project_directory", "env_file"];
  for (const [key, entry] of item.entries) {
    if (keys.includes(key)) continue;
    session.problems.error(entry.key, `${path}.${key}`, "unknown key", {
      suggestion: nearestWord(key, keys),
    });
  }
  const paths = textsOf(session, valueAt(item, "path"), `${path}.path`);
  if (paths.length === 0)
    return session.problems.error(item, path, "the key path is missing", { absence: true });
  const envFiles = textsOf(session, valueAt(item, "env_file"), `${path}.env_file`);
  return { paths, projectDirectory: valueAt(item, "project_directory"), envFiles };
}

function textsOf(session: Session, tree: Tree | undefined, path: string): readonly Tree[] {
  if (tree === undefined || isNull(tree)) return [];
  const items = tree.kind === "seq" ? tree.items : [tree];
  return items.filter((item) => {
    if (item.kind === "scalar" && item.type === "string") return true;
    session.problems.error(item, path, `is ${kindName(item)}`, { expected: "a path" });
    return false;
  });
}

function loadInclusion(
  session: Session,
  context: FileContext,
  { inclusion, path }: { readonly inclusion: Inclusion; readonly path: string },
  { load, chain }: { readonly load: GroupLoader; readonly chain: readonly string[] },
): MapTree | undefined {
  const [first] = inclusion.paths;
  if (first === undefined) return undefined;
  const files = inclusion.paths.map((asked) => ({
    file: isRemoteFile(textOf(asked))
      ? textOf(asked)
      : resolvePath(context.baseDirectory, textOf(asked)),
    asked,
    path: `${path}.path`,
  }));
  const main = files[0]?.file ?? "";
  const circle = chain.indexOf(main);
  const refused = inclusion.paths.find(
    (each) => isRemoteFile(textOf(each)) && !session.mayLoad(textOf(each)),
  );
  if (refused !== undefined) {
    return session.problems.error(refused, path, REMOTE_FILE, { expected: REMOTE_EXPECTED });
  }
  if (circle >= 0) {
    const drawn = [...chain.slice(circle), main].join(" → ");
    return session.problems.error(first, path, `includes itself: ${drawn}`);
  }
  if (!session.mayInclude()) {
    return session.problems.error(first, path, `includes more than ${INCLUSIONS_MAX} files`);
  }
  if (chain.length >= CHAIN_MAX) {
    return session.problems.error(first, path, `is a chain of more than ${CHAIN_MAX} files`);
  }
  const directory = inclusion.projectDirectory;
  const baseDirectory =
    directory === undefined
      ? isRemoteFile(main)
        ? context.baseDirectory
        : parentPath(main)
      : resolvePath(context.baseDirectory, textOf(directory));
  const environment = environmentOf(session, context, { inclusion, path, baseDirectory });
  const model = load(files, { baseDirectory, environment }, [...chain, main]);
  return withInheritedValues(model, environment);
}

function environmentOf(
  session: Session,
  context: FileContext,
  of: { readonly inclusion: Inclusion; readonly path: string; readonly baseDirectory: string },
): Environment {
  const { inclusion, path, baseDirectory } = of;
  const own = `${baseDirectory === "/" ? "" : baseDirectory}/.env`;
  const asked = inclusion.envFiles.map((tree) => ({
    file: resolvePath(context.baseDirectory, textOf(tree)),
    asked: tree,
  }));
  const files = asked.length > 0 ? asked : session.isFile(own) ? [{ file: own }] : [];
  let more: Environment = new Map();
  for (const each of files) {
    const lookup = (name: string) => context.environment.get(name) ?? more.get(name);
    const read = session.readEnv(each.file, { ...each, path: `${path}.env_file` }, lookup);
    more = new Map([...more, ...read]);
  }
  return withDefaults(context.environment, more);
}

/** Bare names in `environment` lists take their values from the included file's own environment. */
function withInheritedValues(model: MapTree, environment: Environment): MapTree {
  const services = model.entries.get("services");
  if (services?.value.kind !== "map") return model;
  const entries = new Map<string, MapEntry>();
  for (const [name, entry] of services.value.entries) {
    entries.set(name, { key: entry.key, value: withInherited(entry.value, environment) });
  }
  return withEntry(model, "services", { key: services.key, value: { ...services.value, entries } });
}

function withInherited(service: Tree, environment: Environment): Tree {
  const entry = service.kind === "map" ? service.entries.get("environment") : undefined;
  if (service.kind !== "map" || entry?.value.kind !== "seq") return service;
  const items = entry.value.items.map((item) => {
    const value = item.kind === "scalar" ? environment.get(item.text) : undefined;
    return value === undefined ? item : textTree(item, `${textOf(item)}=${value}`);
  });
  return withEntry(service, "environment", { key: entry.key, value: { ...entry.value, items } });
}

function importResources(session: Session, from: MapTree, into: MapTree): MapTree {
  let model = into;
  for (const key of RESOURCES) {
    const source = from.entries.get(key);
    if (source?.value.kind !== "map") continue;
    const target = valueAt(model, key);
    const entries = new Map<string, MapEntry>(target?.kind === "map" ? target.entries : []);
    for (const [name, entry] of source.value.entries) {
      const there = entries.get(name);
      if (there === undefined) entries.set(name, entry);
      else if (!sameTree(there.value, entry.value))
        conflict(session, there, entry, `${key}.${name}`);
    }
    const origin = target ?? source.value;
    model = withEntry(model, key, { key: source.key, value: mapTree(origin, entries) });
  }
  return model;
}

function conflict(session: Session, here: MapEntry, included: MapEntry, path: string): void {
  const { line } = positionOf(included.key);
  session.problems.error(
    here.key,
    path,
    `conflicts with the one that is included from ${included.key.source.file}:${line}`,
  );
}

function textOf(tree: Tree): string {
  return tree.kind === "scalar" ? tree.text : "";
}
