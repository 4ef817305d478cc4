/**
 * Which formats of the cluster's state a party reads, so that what is new is written only once everybody can
 * read it.
 *
 * The store has one level, in the row `format`, which only rises. Servers and agents say the newest level that
 * they read; the leader raises the level of the store to the oldest of those. What is in `FORMATS` is written
 * only from its level on: the store's guard in the control plane looks at every write. ADR 57.
 *
 * To add a format: raise `FORMAT_LEVEL`, add a row that says by what a value with it is known.
 */

import type { Kind } from "./keys.ts";

/** Newest level that this software reads and writes. */
export const FORMAT_LEVEL = 2;
/** Of a party that says nothing, and of a store without the row. */
export const FORMAT_LEVEL_FIRST = 1;

export interface Format {
  /** Level from which on it may be written. */
  readonly since: number;
  /** Kind of object that it is found in. */
  readonly kind: Kind;
  /** For people: what it is that cannot be had yet. */
  readonly what: string;
  /** Text that every value with it contains: only those are looked at closely. */
  readonly mark: string;
  /** Whether a value of the kind has it. */
  readonly isIn: (value: Readonly<Record<string, unknown>>) => boolean;
}

export const FORMATS: readonly Format[] = [
  {
    since: 2,
    kind: "node",
    what: "a taint that evicts (no-execute)",
    mark: '"no-execute"',
    // Older leaders would place copies on the node again and again.
    isIn: ({ taints }) =>
      Object.values(Object(taints)).some((taint) => Object(taint).effect === "no-execute"),
  },
  {
    since: 2,
    kind: "join-token",
    what: "a token by which a server joins",
    mark: '"server":true',
    // Older servers would let an ordinary node in by it.
    isIn: ({ server }) => server === true,
  },
  {
    since: 2,
    kind: "release",
    what: "devices in part or by model (x-berth.devices)",
    mark: '"shareMillis"',
    // Older leaders would place copies where there is no such device.
    isIn: ({ services }) =>
      Object.values(Object(services)).some((each) => Object(Object(each).spec).devices?.length > 0),
  },
];
