/**
 * The canonical form of a project: what `docker compose config` prints for the same files.
 */

import type { Printed, PrintFormat } from "../codec/codec.ts";
import { printExtensions } from "../codec/extension.ts";
import type { ComposeProject } from "../model/project-model.ts";
import { projectWords } from "../spec/project-codec.ts";
import { compareBytes } from "../text/go-number.ts";
import { printJson } from "./print-json.ts";
import { printYaml } from "./print-yaml.ts";
import { withoutUnused } from "./used.ts";

/**
 * The canonical text of `project`; dollars are doubled, so that the text loads to the same project again. A project that
 * was loaded without interpolation still has its variables: `interpolated: false` leaves the dollars as they are.
 */
export function printCanonical(
  project: ComposeProject,
  format: "json" | "yaml",
  form: { readonly interpolated?: boolean } = {},
): string {
  const tree = canonicalTree(project, format);
  const text = format === "json" ? printJson(tree) : printYaml(tree);
  return form.interpolated === false ? text : text.replaceAll("$", "$$$$");
}

/** The canonical form before it becomes text. */
export function canonicalTree(project: ComposeProject, format: PrintFormat): Printed {
  const printed = projectWords.print(withoutUnused(project), format);
  const map = new Map(printed instanceof Map ? printed : []);
  if (!map.has("services")) map.set("services", new Map());
  if (format === "json") {
    for (const [key, value] of printExtensions(project.extensions, format)) map.set(key, value);
    return new Map([...map].sort(([left], [right]) => compareBytes(left, right)));
  }
  return map;
}
