/**
 * Questions that no name server of our kind answers, whatever the name: what BIND says to them, we say.
 * Pure.
 *
 * Zone transfers, records that only exist in messages (OPT, TSIG) and types that were never used ask for
 * no data; classes but IN have none here.
 */

import { CLASS_IN, type Query, RCODE, TYPE } from "./wire.ts";

const CLASS_NONE = 254;
/** RFC 6895: types 128 to 255 ask for, or carry, something else than data. */
const META_TYPES = { first: 128, last: 255 } as const;

/** The code to answer with; `undefined` for a question about data. */
export function refusalOf(query: Query, transport: "udp" | "tcp"): number | undefined {
  if (query.edns !== undefined && query.edns.version !== 0) return RCODE.badVersion;
  if (query.class === CLASS_NONE || query.type === 0) return RCODE.formatError;
  if (query.class !== CLASS_IN) return RCODE.refused;
  switch (query.type) {
    case TYPE.ANY:
      return undefined;
    case TYPE.AXFR:
      // A transfer over UDP is no transfer (RFC 5936).
      return transport === "udp" ? RCODE.formatError : RCODE.refused;
    case TYPE.IXFR:
      return RCODE.refused;
    case TYPE.MAILA:
    case TYPE.MAILB:
      return RCODE.notImplemented;
    default: {
      const isMeta = query.type >= META_TYPES.first && query.type <= META_TYPES.last;
      return isMeta || query.type === TYPE.OPT ? RCODE.formatError : undefined;
    }
  }
}
