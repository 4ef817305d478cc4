/**
 * From a stored entry to a typed object: the one border between the store's text and the types.
 *
 * Values are written by this server from the same types (`encode`), so they are not validated again at
 * each start: a schema check of 100,000 tasks would cost more than listing them. Text that is no JSON is
 * a damaged store, and no object.
 */

import { type KeyParts, type Kind, parseKey } from "@berth/protocol";
import type { StoredEntry } from "../store/port.ts";
import { type Held, type HeldKind, UNHELD } from "./cluster-tables.ts";
import type { Entity } from "./entity-table.ts";

/** What a key stands for, if it is of a kind that is held. */
export function heldKey(key: string): (KeyParts & { readonly kind: HeldKind }) | undefined {
  const parts = parseKey(key);
  if (parts === undefined || !isHeld(parts.kind)) return undefined;
  return { ...parts, kind: parts.kind };
}

function isHeld(kind: Kind): kind is HeldKind {
  return !UNHELD.has(kind);
}

/** The object of an entry of a held kind; `undefined` when the value is damaged. */
export function decodeEntry(
  parts: KeyParts & { readonly kind: HeldKind },
  entry: StoredEntry,
): Entity<Held[HeldKind]> | undefined {
  const value = decodeValue(parts, entry.value);
  return value && { key: entry.key, revision: entry.modRevision, value };
}

function decodeValue(
  parts: KeyParts & { readonly kind: HeldKind },
  text: string,
): Held[HeldKind] | undefined {
  if (parts.kind === "secret") {
    const [stack = "", name = "", version = ""] = parts.name;
    return { project: parts.project, environment: parts.environment, stack, name, version };
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Held[HeldKind]) : undefined;
  } catch {
    return undefined;
  }
}

/** The text that the store keeps for an object. */
export function encode(value: Held[HeldKind]): string {
  return JSON.stringify(value);
}
