/**
 * A node that fell silent three times within ten minutes, not counting mass outages, is held back when it
 * returns, and a node that did not is not. Counts itself, from the transitions of the rows.
 */

import { DEFAULT_SETTINGS } from "@berth/control-plane/settings";
import type { Node } from "@berth/protocol";
import type { Written } from "../store-journal.ts";
import type { Checker, Speak } from "./checker.ts";

export function flappingChecker(): Checker {
  const silences = new Map<string, number[]>();
  return {
    name: "flapping",
    onWritten(written, _scene, speak) {
      for (const each of written) look(each, silences, speak);
    },
  };
}

function look(written: Written, silences: Map<string, number[]>, speak: Speak): void {
  if (written.kind !== "node") return;
  const node = written.now<Node>();
  const before = written.before<Node>();
  // A node that was removed and joined again is another one.
  if (node === undefined && before !== undefined) silences.delete(before.name);
  if (node === undefined || before === undefined) return;
  const { name, contactChangedAt: at } = node;
  // A person's word: what was is forgotten.
  if (node.availability === "active" && before.availability !== "active") silences.delete(name);
  if (node.contact === before.contact) return;
  const { flapCount, flapWindowMs } = DEFAULT_SETTINGS;
  const recent = (silences.get(name) ?? []).filter((time) => at - time < flapWindowMs);
  if (node.contact === "down") {
    if (node.evictionPausedUntil === undefined) silences.set(name, [...recent, at]);
    return;
  }
  const isFlapping = recent.length >= flapCount;
  const isHeldBack = node.heldBackUntil !== undefined && node.heldBackUntil > at;
  if (isFlapping && !isHeldBack) speak(`${name} fell silent ${recent.length} times and is trusted`);
  if (!isFlapping && isHeldBack && before.heldBackUntil === undefined) {
    speak(`${name} fell silent ${recent.length} times and is held back`);
  }
}
