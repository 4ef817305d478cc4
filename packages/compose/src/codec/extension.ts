/**
 * Extensions: what stands under `x-` keys, kept as plain values and printed back.
 */

import { compareBytes } from "../text/go-number.ts";
import type { Tree } from "../tree/tree.ts";
import type { Printed } from "./codec.ts";

/** `x-` keys with their values as printed trees. */
export type Extensions = Readonly<Record<string, Printed>>;

/** The value of an extension, whatever it is. */
export function readExtension(tree: Tree): Printed {
  switch (tree.kind) {
    case "seq":
      return tree.items.map(readExtension);
    case "map":
      return new Map(
        [...tree.entries]
          .map(([key, { value }]): [string, Printed] => [key, readExtension(value)])
          .sort(([left], [right]) => compareBytes(left, right)),
      );
    case "scalar":
      break;
  }
  switch (tree.type) {
    case "null":
      return null;
    case "bool":
      return tree.text === "true";
    case "int":
    case "float":
      return { numberText: tree.text };
    case "string":
    case "timestamp":
      return tree.text;
  }
}
