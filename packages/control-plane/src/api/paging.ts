/**
 * Pages of a list: entities in order of key, so that a page begins after the last key of the one before,
 * whatever was added or removed in between.
 */

import { ProtocolError } from "@berth/protocol";
import type { Entity } from "../state/entity-table.ts";

/** Objects of a page when nobody says. */
export const PAGE_LIMIT_DEFAULT = 500;
/** Objects of a page at most: about a megabyte of tasks, some milliseconds of work. */
export const PAGE_LIMIT_MAX = 1_000;

export interface PageQuery {
  readonly after?: string;
  readonly limit?: string;
}

export interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}

/** One page of `entities`, which are in order of key. `change` is called for the page's objects only. */
export function pageOf<From, To>(
  entities: readonly Entity<From>[],
  query: PageQuery,
  change: (entity: Entity<From>) => To,
): Page<To> {
  const limit = pageLimitOf(query.limit);
  const start = query.after === undefined ? 0 : firstAfter(entities, query.after);
  const slice = entities.slice(start, start + limit);
  const last = slice.at(-1);
  const items = slice.map(change);
  if (last === undefined || start + limit >= entities.length) return { items };
  return { items, next: last.key };
}

/** @throws ProtocolError `invalid_request` unless `text` is 1 to `PAGE_LIMIT_MAX`. */
export function pageLimitOf(text: string | undefined): number {
  const limit = integerOf("limit", text) ?? PAGE_LIMIT_DEFAULT;
  if (limit >= 1 && limit <= PAGE_LIMIT_MAX) return limit;
  throw new ProtocolError("invalid_request", `limit is 1 to ${PAGE_LIMIT_MAX}`, {
    parameter: "limit",
    maximum: PAGE_LIMIT_MAX,
  });
}

/** The whole number of a query parameter; `undefined` when it is absent. */
export function integerOf(parameter: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ProtocolError("invalid_request", `${parameter} is not a whole number`, { parameter });
}

/** `true`, `1` or empty is true, `false`, `0` or absent is false. */
export function booleanOf(parameter: string, text: string | undefined): boolean {
  if (text === undefined || text === "false" || text === "0") return false;
  if (text === "true" || text === "1" || text === "") return true;
  throw new ProtocolError("invalid_request", `${parameter} is neither true nor false`, {
    parameter,
  });
}

function firstAfter(entities: readonly Entity<unknown>[], key: string): number {
  let low = 0;
  let high = entities.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = entities[middle];
    if (found !== undefined && found.key <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
