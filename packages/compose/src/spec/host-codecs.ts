/**
 * `extra_hosts`: names and addresses that a container's hosts file gets.
 */

import { type Codec, refuse } from "../codec/codec.ts";
import { compareBytes } from "../text/go-number.ts";
import { kindName, type MapTree, type SeqTree, type Tree } from "../tree/tree.ts";

/** `host=address`, sorted; both spellings, `=` and `:` as separators, several addresses of a host. */
export const extraHosts: Codec<readonly string[]> = {
  read(tree, path, reading) {
    const pairs =
      tree.kind === "map" ? pairsOfMap(tree) : tree.kind === "seq" ? pairsOfList(tree) : undefined;
    if (pairs === undefined) {
      return refuse(reading, tree, path, {
        found: `is ${kindName(tree)}`,
        expected: "a mapping of names to addresses, or a list of NAME=ADDRESS",
      });
    }
    const hosts: string[] = [];
    for (const { host, address, at } of pairs) {
      if (host === "" || /[:=]/.test(host) || address === undefined) {
        refuse(reading, at, path, { found: `is ${kindName(at)}`, expected: "NAME=ADDRESS" });
      } else hosts.push(`${host}=${bare(address)}`);
    }
    // A mapping whose hosts have no addresses prints as an empty list, one without hosts is nothing: as in the reference.
    return pairs.length === 0 && isEmpty(tree) ? undefined : hosts.sort(compareBytes);
  },
  print: (hosts) => hosts,
  schema: {
    oneOf: [
      {
        type: "object",
        additionalProperties: {
          oneOf: [{ type: "string" }, { type: "array", items: { type: "string" } }],
        },
      },
      { type: "array", items: { type: "string" } },
    ],
  },
};

function isEmpty(tree: Tree): boolean {
  return tree.kind === "map"
    ? tree.entries.size === 0
    : tree.kind === "seq" && tree.items.length === 0;
}

interface HostPair {
  readonly host: string;
  readonly address: string | undefined;
  readonly at: Tree;
}

function pairsOfMap(tree: MapTree): readonly HostPair[] {
  return [...tree.entries].flatMap(([host, { value }]) =>
    (value.kind === "seq" ? value.items : [value]).map((at) => ({
      host,
      address: at.kind === "scalar" && at.type === "string" ? at.text : undefined,
      at,
    })),
  );
}

function pairsOfList(tree: SeqTree): readonly HostPair[] {
  return tree.items.flatMap((at): readonly HostPair[] => {
    const written = at.kind === "scalar" ? at.text : "";
    const equals = written.indexOf("=");
    const split = equals >= 0 ? equals : written.indexOf(":");
    if (split < 0) return [{ host: written, address: undefined, at }];
    const host = written.slice(0, split);
    return written
      .slice(split + 1)
      .split(",")
      .map((address) => ({ host, address, at }));
  });
}

function bare(address: string): string {
  return address.length > 2 && address.startsWith("[") && address.endsWith("]")
    ? address.slice(1, -1)
    : address;
}
