/** What words of a dialogue do to a node: `down`, `up`, `cordon`, `taint=gpu`. */

import { parseDuration } from "@berth/base";
import type { Node, NodeAvailability, TaintEffect, TaskDevice } from "@berth/protocol";
import { becomeHeard, type ContactSettings } from "../controllers/node-contact.ts";

const EFFECTS: Readonly<Record<string, TaintEffect>> = {
  prefer: "prefer-no-schedule",
  evict: "no-execute",
};
const AVAILABILITY: Readonly<Record<string, { readonly availability: NodeAvailability }>> = {
  drain: { availability: "draining" },
  cordon: { availability: "cordoned" },
  active: { availability: "active" },
};

/** The node after the words. */
export function nodeChanged(
  known: Node,
  words: readonly string[],
  now: number,
  settings: ContactSettings,
): Node {
  const [word = ""] = words;
  if (word === "up") return becomeHeard(known, now, settings);
  const [key, effect] = wordValue(words, "taint")?.split(":") ?? [];
  const taint = { effect: EFFECTS[effect ?? ""] ?? "no-schedule" };
  const silence = parseDuration(wordValue(words, "silent") ?? "");
  return {
    ...known,
    ...(silence === undefined ? {} : { silentForMs: silence }),
    ...(word === "flaps" ? { heldBackUntil: now + 1 } : {}),
    ...(word === "down" ? { contact: word } : {}),
    ...AVAILABILITY[word],
    ...(key === undefined ? {} : { taints: { [key]: taint } }),
  };
}

export function wordValue(words: readonly string[], key: string): string | undefined {
  return words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
}

/** ` with gpu 0`, ` with gpu 0 (0.5 of it)`. */
export function deviceWords({ kind, id, shareMillis }: TaskDevice): string {
  return ` with ${kind} ${id}${shareMillis === undefined ? "" : ` (${shareMillis / 1_000} of it)`}`;
}
