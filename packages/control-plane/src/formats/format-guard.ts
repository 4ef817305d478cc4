/**
 * The one way of writes to the store: nothing in a format passes that the cluster's level does not have yet.
 *
 * The level is read from this server's view. The view may be behind, never ahead, and the level only rises: what
 * the view allows, the store allows. Cost: one comparison of text for each put of a kind that has formats.
 */

import { FORMATS, type Format, ProtocolError, parseKey } from "@berth/protocol";
import type { Operation, Store } from "../store/port.ts";
import {
  type FormatQuestion,
  formatLevel,
  formatStanding,
  holderWords,
} from "./format-standing.ts";

const BY_KIND = Map.groupBy(FORMATS, ({ kind }) => kind);

/** `store`, with the look at each write in front. */
export function guardFormats(store: Store, question: () => FormatQuestion): Store {
  const txn: Store["txn"] = (wanted, ...rest) => {
    try {
      for (const operation of wanted.then) check(operation, question);
    } catch (error) {
      return Promise.reject(error);
    }
    return store.txn(wanted, ...rest);
  };
  // All other members are the store's own, with the store as `this`.
  return new Proxy(store, {
    get(target, name) {
      if (name === "txn") return txn;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function check(operation: Operation, question: () => FormatQuestion): void {
  if (operation.kind !== "put") return;
  const { key, value } = operation;
  // Most keys are of kinds without formats: their name stands between the second and the third slash.
  const format = newestIn(key, value);
  if (format === undefined) return;
  const asked = question();
  if (formatLevel(asked.view) >= format.since) return;
  const { level, heldBackBy } = formatStanding(asked);
  const who = heldBackBy.length === 0 ? "it rises in a moment" : holderWords(heldBackBy);
  const message = `${format.what} needs format ${format.since} of the cluster's state, which is at ${level}: ${who}`;
  throw new ProtocolError("format_held_back", message, { level, needed: format.since, heldBackBy });
}

/** The newest format that the value has; absent for what every version reads. */
function newestIn(key: string, value: string): Format | undefined {
  const kind = parseKey(key)?.kind;
  const candidates = kind && BY_KIND.get(kind)?.filter(({ mark }) => value.includes(mark));
  if (candidates === undefined || candidates.length === 0) return undefined;
  const parsed = Object(JSON.parse(value));
  return candidates
    .filter(({ isIn }) => isIn(parsed))
    .reduce<Format | undefined>(
      (newest, each) => (newest === undefined || each.since > newest.since ? each : newest),
      undefined,
    );
}
