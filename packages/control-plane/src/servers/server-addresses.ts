/** How a server tells where it is reached: one row a server, written when it differs from what is known, or daily. */

import { DAY_MS } from "@berth/base";
import {
  FORMAT_LEVEL,
  keys,
  PROTOCOL_VERSION,
  SERVER_URLS_MAX,
  type ServerAddress,
} from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Store } from "../store/port.ts";

/** Rows are repeated after this, so that an old one is that of a server that is gone. */
export const REPEAT_MS = DAY_MS;
/** A server that said nothing for so long is forgotten: agents try no address that nobody has any more. */
export const SERVER_FORGOTTEN_MS = 7 * DAY_MS;

export interface OwnAddress {
  /** This machine as a node. */
  readonly node: string;
  readonly urls: readonly string[];
  /** PEM of the cluster's authority. */
  readonly authority: string;
  readonly version: string;
}

/** Writes the row of this server unless it is there. Nothing to tell without an address. */
export async function tellAddress(
  own: OwnAddress,
  context: {
    readonly store: Store;
    readonly view: Pick<ClusterView, "serverAddresses">;
    readonly now: number;
  },
): Promise<void> {
  const { store, view, now } = context;
  if (own.urls.length === 0) return;
  const urls = own.urls.slice(0, SERVER_URLS_MAX);
  const said = { protocol: PROTOCOL_VERSION, format: FORMAT_LEVEL };
  const row: ServerAddress = { ...own, urls, ...said, at: now };
  const key = keys.serverAddress(own.node);
  const known = view.serverAddresses.get(key)?.value;
  if (known !== undefined && now - known.at < REPEAT_MS && isSame(known, row)) return;
  await store.txn({ compare: [], then: [{ kind: "put", key, value: encode(row) }] });
}

function isSame({ at: _then, ...one }: ServerAddress, { at: _now, ...other }: ServerAddress) {
  const sorted = (row: object) => JSON.stringify(Object.entries(row).sort());
  return sorted(one) === sorted(other);
}
