/** New identifiers from chance: what they look like, and that a network's is not in use. */

import type { Prng } from "@berth/base";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Identifiers } from "./plan-context.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
/** 36^12: of a million identifiers two are equal with a chance of 10^-7, and then a transaction fails. */
const IDENTIFIER_LENGTH = 12;

export function newIdentifiers(prng: Prng, view: ClusterView): Identifiers {
  const identifier = () => {
    let text = "";
    for (let index = 0; index < IDENTIFIER_LENGTH; index++) {
      text += ALPHABET.charAt(prng.int(0, ALPHABET.length - 1));
    }
    return text;
  };
  const networkId = () => {
    for (;;) {
      const id = prng.uint32().toString(16).padStart(8, "0");
      if (view.networks.by("id", id).length === 0) return id;
    }
  };
  let subnetEnd = 0;
  return {
    identifier,
    networkId,
    subnetEnd: () => subnetEnd,
    noteSubnetEnd: (end) => {
      subnetEnd = end;
    },
  };
}
