/**
 * Which protocol a party speaks, so that versions that differ understand each other during an upgrade.
 *
 * Additions that the other side may ignore raise nothing. A request that an older server would refuse is sent
 * only to one that has said a version which knows it; a server says its version in `version`, in the answer to
 * a node's report and in its address. ADR 59.
 */

/** Newest protocol of this software. */
export const PROTOCOL_VERSION = 3;
/** From here on `server-address` can be watched. */
export const PROTOCOL_SERVER_ADDRESSES = 2;
/** From here on a server lets others join it (`server: true` in a wish for a token). */
export const PROTOCOL_SERVER_JOINS = 3;
/** What a server speaks that says nothing. */
export const PROTOCOL_VERSION_FIRST = 1;
