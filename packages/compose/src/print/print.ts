/**
 * The canonical form of a project: what `docker compose config` prints for the same files.
 */

import type { Printed, PrintedMap, PrintFormat } from "../codec/codec.ts";
import { inOrder, printExtensions } from "../codec/extension.ts";
import type { ComposeProject } from "../model/project-model.ts";
import { projectWords } from "../spec/project-codec.ts";
import { envFileList, service as serviceCodec } from "../spec/service-codec.ts";
import { compareBytes } from "../text/go-number.ts";
import { printCompactJson, printJson } from "./print-json.ts";
import { printYaml } from "./print-yaml.ts";
import { withoutUnused } from "./used.ts";

/** The canonical text of `project`; dollars are doubled, so that the text loads to the same project again. */
export function printCanonical(project: ComposeProject, format: "json" | "yaml"): string {
  const tree = canonicalTree(project, format);
  const text = format === "json" ? printJson(tree) : printYaml(tree);
  return text.replaceAll("$", "$$$$");
}

/** The text of a merged form, with its variables. */
export function printMerged(merged: PrintedMap, format: "json" | "yaml"): string {
  const tree = inOrder(merged, format);
  return format === "json" ? printJson(tree) : printYaml(tree);
}

/**
 * What the reference hashes to tell whether a service's containers are out of date: its compact JSON, with its env files
 * and without what a new container is not needed for. `undefined` when there is no such service.
 */
export function hashedText(project: ComposeProject, service: string): string | undefined {
  const found = Object.hasOwn(project.services, service) ? project.services[service] : undefined;
  const printed = found === undefined ? undefined : serviceCodec.print(found, "json");
  if (found === undefined || !(printed instanceof Map)) return undefined;
  const hashed = new Map<string, Printed>();
  for (const [key, value] of printed as PrintedMap) {
    if (NOT_HASHED.has(key)) continue;
    hashed.set(key, key === "deploy" ? withoutReplicas(value) : value);
  }
  const envFiles = envFileList.print(found.envFiles ?? [], "json");
  if (envFiles === undefined) return printCompactJson(hashed);
  // The keys of the reference's structure are in alphabetical order around this one, but for its neighbour and the first of all.
  const entries = [...hashed];
  const at = entries.findIndex(([key]) => key > "environment" && key !== "profiles");
  entries.splice(at < 0 ? entries.length : at, 0, ["env_file", envFiles]);
  return printCompactJson(new Map(entries));
}

const NOT_HASHED: ReadonlySet<string> = new Set(["build", "pull_policy", "scale"]);

function withoutReplicas(deploy: Printed): Printed {
  if (!(deploy instanceof Map)) return deploy;
  const rest = new Map(deploy as PrintedMap);
  rest.delete("replicas");
  return rest;
}

/** The canonical form before it becomes text. */
export function canonicalTree(project: ComposeProject, format: PrintFormat): Printed {
  const printed = projectWords.print(withoutUnused(project), format);
  const rest = new Map<string, Printed>(printed instanceof Map ? printed : []);
  const services = rest.get("services") ?? new Map();
  const map = new Map([["name", rest.get("name") ?? ""], ["services", services], ...rest]);
  if (format === "json") {
    for (const [key, value] of printExtensions(project.extensions, format)) map.set(key, value);
    return new Map([...map].sort(([left], [right]) => compareBytes(left, right)));
  }
  return map;
}
