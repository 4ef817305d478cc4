/**
 * `external`: a network, volume, config or secret that somebody else makes; with the old form
 * `external: {name: x}`.
 */

import type { Codec, JsonSchema } from "../codec/codec.ts";
import { isNull, type MapEntry, mapTree, scalar, type Tree, valueAt } from "../tree/tree.ts";

/** `codec` with the old form brought into the new one; nothing (`data:`) is an empty mapping. */
export function external<T>(codec: Codec<T>): Codec<T> {
  return {
    read(tree, path, reading) {
      if (isNull(tree)) return codec.read(mapTree(tree, new Map()), path, reading);
      const written = valueAt(tree, "external");
      if (tree.kind !== "map" || written?.kind !== "map") return codec.read(tree, path, reading);
      const oldName = written.entries.get("name");
      const name = valueAt(tree, "name");
      if (oldName !== undefined && name !== undefined && textOf(name) !== textOf(oldName.value)) {
        reading.problems.error(
          oldName.key,
          `${path}.external.name`,
          "name and external.name differ",
          {
            expected: "name beside external: true",
          },
        );
      }
      reading.problems.warn(written, `${path}.external`, "external.name is deprecated", {
        expected: "name beside external: true",
      });
      const entries = new Map<string, MapEntry>(tree.entries);
      entries.set("external", { key: written, value: scalar(written, "bool", "true") });
      if (oldName !== undefined && name === undefined) entries.set("name", oldName);
      return codec.read({ ...tree, entries }, path, reading);
    },
    print: (value, format) => codec.print(value, format),
    schema: { oneOf: [withOldForm(codec.schema), { type: "null" }] },
  };
}

function textOf(tree: Tree): string {
  return tree.kind === "scalar" ? tree.text : "";
}

/** The schema with `external: {name: x}` beside `external: true`. */
function withOldForm(schema: JsonSchema): JsonSchema {
  const properties = schema["properties"] as Readonly<Record<string, JsonSchema>>;
  const old = {
    type: "object",
    properties: { name: { type: "string" } },
    additionalProperties: false,
    deprecated: true,
  };
  return {
    ...schema,
    properties: { ...properties, external: { oneOf: [properties["external"], old] } },
  };
}
