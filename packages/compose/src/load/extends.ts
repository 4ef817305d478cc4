/**
 * `extends`: a service that takes over another one's keys, from the same file or another, in chains.
 *
 * Works on trees before files are merged, as the reference does. Each service is resolved once per file; a chain
 * that meets itself is drawn as a path.
 */

import { nearestWord } from "@berth/base";
import { CHAIN_MAX } from "../limits.ts";
import { parentPath, resolvePath } from "../path.ts";
import { mergeService, settle } from "../tree/merge.ts";
import {
  isNull,
  kindName,
  type MapEntry,
  type MapTree,
  type Tree,
  valueAt,
  withEntry,
  withoutEntry,
} from "../tree/tree.ts";
import { type FileContext, parseFile, withVariables } from "./documents.ts";
import { mergeDocuments } from "./merge-documents.ts";
import type { Session } from "./session.ts";

/** `document` with all `extends` of its services resolved. */
export function applyExtends(session: Session, context: FileContext, document: MapTree): MapTree {
  const services = document.entries.get("services");
  if (services?.value.kind !== "map") return document;
  const any = [...services.value.entries.values()].some((entry) => valueAt(entry.value, "extends"));
  if (!any) return document;
  const resolver = new ExtendsResolver(session);
  const entries = new Map<string, MapEntry>();
  for (const [name, entry] of services.value.entries) {
    const value = resolver.resolve({ name, services: services.value, context }, []);
    entries.set(name, { key: entry.key, value: value ?? entry.value });
  }
  const value = { ...services.value, entries };
  return withEntry(document, "services", { key: services.key, value });
}

/** A service in its file. */
interface Place {
  readonly name: string;
  readonly services: MapTree;
  readonly context: FileContext;
}

class ExtendsResolver {
  readonly #session: Session;
  readonly #resolved = new Map<MapTree, Map<string, Tree>>();
  readonly #files = new Map<string, MapTree | undefined>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** The service without `extends`; `undefined` when it is not there. */
  resolve(place: Place, chain: readonly string[]): Tree | undefined {
    const known = this.#resolved.get(place.services)?.get(place.name);
    if (known !== undefined) return known;
    const service = place.services.entries.get(place.name)?.value;
    const reference = valueAt(service, "extends");
    if (service?.kind !== "map" || reference === undefined) return service;
    const own = withoutEntry(service, "extends");
    const merged = reference.mark === "reset" ? own : this.#extend(place, own, reference, chain);
    const ofFile = this.#resolved.get(place.services) ?? new Map<string, Tree>();
    this.#resolved.set(place.services, ofFile.set(place.name, merged));
    return merged;
  }

  #extend(place: Place, own: MapTree, reference: Tree, chain: readonly string[]): Tree {
    const path = `services.${place.name}.extends`;
    const link = `${place.context.file}#${place.name}`;
    const { problems } = this.#session;
    if (chain.includes(link)) {
      problems.error(reference, path, `extends itself: ${drawChain([...chain, link])}`);
      return own;
    }
    if (chain.length >= CHAIN_MAX) {
      problems.error(reference, path, `is a chain of more than ${CHAIN_MAX} services`);
      return own;
    }
    const target = this.#target(place, reference, path);
    if (target === undefined) return own;
    const base = this.resolve(target, [...chain, link]);
    if (base === undefined) {
      problems.error(
        reference,
        path,
        `there is no service ${target.name} in ${target.context.file}`,
        {
          absence: true,
          suggestion: nearestWord(target.name, target.services.entries.keys()),
        },
      );
      return own;
    }
    return isNull(base) ? own : mergeService(settle(base), own, `services.${place.name}`, problems);
  }

  /** The service that `extends` names. */
  #target(place: Place, reference: Tree, path: string): Place | undefined {
    const { problems } = this.#session;
    if (reference.kind === "scalar" && reference.type === "string")
      return { ...place, name: reference.text };
    if (reference.kind !== "map") {
      return problems.error(reference, path, `is ${kindName(reference)}`, {
        expected: "a service's name, or a mapping with service and file",
      });
    }
    for (const [key, entry] of reference.entries) {
      if (key === "service" || key === "file") continue;
      problems.error(entry.key, `${path}.${key}`, "unknown key", {
        suggestion: nearestWord(key, ["service", "file"]),
      });
    }
    const name = valueAt(reference, "service");
    if (name?.kind !== "scalar" || name.type !== "string") {
      return problems.error(name ?? reference, path, "the key service is missing or not text", {
        absence: true,
      });
    }
    const file = valueAt(reference, "file");
    if (file === undefined || isNull(file)) return { ...place, name: name.text };
    if (file.kind !== "scalar" || file.type !== "string") {
      return problems.error(file, `${path}.file`, `is ${kindName(file)}`, { expected: "a path" });
    }
    return this.#targetInFile(place, name.text, file.text, { at: file, path });
  }

  #targetInFile(
    place: Place,
    name: string,
    written: string,
    asked: { readonly at: Tree; readonly path: string },
  ): Place | undefined {
    const isRemote = isRemoteFile(written);
    if (isRemote && !this.#session.mayLoad(written)) {
      return this.#session.problems.error(asked.at, `${asked.path}.file`, REMOTE_FILE, {
        expected: REMOTE_EXPECTED,
      });
    }
    const own = asked.at.source.baseDirectory;
    const file = isRemote ? written : resolvePath(own, written);
    const context = {
      file,
      // A remote file has no directory here: its paths are those of who names it.
      baseDirectory: isRemote ? own : parentPath(file),
      environment: place.context.environment,
      isReferenced: true,
    };
    const services = this.#servicesOf(context, asked);
    return services === undefined ? undefined : { name, services, context };
  }

  #servicesOf(
    context: FileContext,
    asked: { readonly at: Tree; readonly path: string },
  ): MapTree | undefined {
    if (this.#files.has(context.file)) return this.#files.get(context.file);
    this.#files.set(context.file, undefined);
    const { problems } = this.#session;
    const before = parseFile(this.#session, context, asked.at, `${asked.path}.file`);
    if (before.length === 0) return undefined;
    const documents = before.map((document) => withVariables(this.#session, context, document));
    const services = valueAt(mergeDocuments(documents, problems), "services");
    if (services?.kind === "map") {
      this.#files.set(context.file, services);
      return services;
    }
    return problems.error(asked.at, `${asked.path}.file`, `${context.file} has no services`);
  }
}

/** `web → base → web`; files are named where more than one takes part. */
function drawChain(links: readonly string[]): string {
  const files = new Set(links.map((link) => link.slice(0, link.lastIndexOf("#"))));
  return links
    .map((link) => {
      const at = link.lastIndexOf("#");
      const name = link.slice(at + 1);
      return files.size > 1 ? `${name} (${link.slice(0, at)})` : name;
    })
    .join(" → ");
}

/** What is said of a remote file that no policy allows. */
export const REMOTE_FILE = "is a remote file, which is not loaded";
export const REMOTE_EXPECTED =
  "a copy of it beside this file, or a policy that allows its address (https only): berth deploy --allow-remote PREFIX";

/** Git and OCI references, which only a policy could allow. */
export function isRemoteFile(written: string): boolean {
  return /^(https?|git|ssh|oci):\/\/|^git@|^github\.com\//.test(written);
}
