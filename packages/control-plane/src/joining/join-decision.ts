/**
 * Whether a host may join, and what that writes. Pure: the state, the request and the time decide.
 *
 * A token is used up in the transaction that makes the member, so two hosts cannot both join by it. The same
 * host with the same key may repeat the call as long as the token lives: its answer may have been lost.
 */

import { formatDuration, MINUTE_MS } from "@berth/base";
import { type JoinToken, keys, type Member } from "@berth/protocol";
import { accept, type Decision, type Refusal, refuse, unchangedSince } from "../release/refusal.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";

/** Further apart, times in logs and of certificates are wrong enough to lead people astray. */
export const CLOCK_SKEW_MS_MAX = MINUTE_MS;

/** Who asks, by which token. */
export interface Joining {
  readonly tokenHash: string;
  readonly node: string;
  /** The host's clock. */
  readonly hostNow: number;
  /** The server's clock. */
  readonly now: number;
}

/** What a member gets when it is made. */
export interface NewMember extends Joining {
  readonly keyHash: string;
  readonly memberId: string;
  readonly address: string;
  readonly notAfter: number;
}

/** Why the host may not join; `undefined` when it may. `keyHash` where a join is repeated. */
export function joinRefusal(
  view: ClusterView,
  { tokenHash, node, hostNow, now }: Joining,
  keyHash?: string,
): Refusal | undefined {
  const token = view.joinTokens.get(keys.joinToken(tokenHash))?.value;
  return (
    tokenRefusal(token, { node, now, keyHash }) ??
    clockRefusal(hostNow, now) ??
    nameRefusal(view, node, repeats(token, node, keyHash))
  );
}

/** Why the token lets nobody in any more, whoever asks; `undefined` when it still does. */
export function tokenUseRefusal(
  view: ClusterView,
  tokenHash: string,
  now: number,
): Refusal | undefined {
  const token = view.joinTokens.get(keys.joinToken(tokenHash))?.value;
  return tokenRefusal(token, { node: token?.node ?? "", now, keyHash: undefined });
}

function tokenRefusal(
  token: JoinToken | undefined,
  { node, now, keyHash }: { node: string; now: number; keyHash: string | undefined },
): Refusal | undefined {
  if (token === undefined) return refuse("join_refused", "the token for joining is not known here");
  const details = { token: token.id };
  if (token.expiresAt <= now) {
    const ago = formatDuration(now - token.expiresAt);
    return refuse("join_refused", `the token for joining expired ${ago} ago`, details);
  }
  if (token.used !== undefined && !repeats(token, node, keyHash)) {
    const message = `the token was used by ${token.used.node}: each is for one host`;
    return refuse("join_refused", message, details);
  }
  if (token.node !== undefined && token.node !== node) {
    const message = `the token is for a host with the name ${token.node}, not ${node}`;
    return refuse("join_refused", message, { ...details, node: token.node });
  }
  return undefined;
}

function repeats(token: JoinToken | undefined, node: string, keyHash: string | undefined): boolean {
  return token?.used !== undefined && token.used.node === node && token.used.keyHash === keyHash;
}

function clockRefusal(hostNow: number, now: number): Refusal | undefined {
  const skewMs = hostNow - now;
  if (Math.abs(skewMs) <= CLOCK_SKEW_MS_MAX) return undefined;
  const where = skewMs > 0 ? "ahead of" : "behind";
  const message = `the host's clock is ${formatDuration(Math.abs(skewMs))} ${where} the server's, at most ${formatDuration(CLOCK_SKEW_MS_MAX)} is fine`;
  return refuse("clock_skew", message, { skewMs, maximum: CLOCK_SKEW_MS_MAX });
}

function nameRefusal(view: ClusterView, node: string, isRepeated: boolean): Refusal | undefined {
  if (isRepeated) return undefined;
  const known = view.nodes.get(keys.node(node))?.value;
  if (known === undefined) return undefined;
  const message = `there is a node ${node} already (${known.contact}): choose another name with --node, or remove it with berth node rm ${node}`;
  return refuse("already_exists", message, { node, contact: known.contact });
}

/** Lets a server in: uses the token up, and takes back that a server of this name was removed. */
export function decideServerJoin(
  view: ClusterView,
  joining: Joining & { readonly keyHash: string },
): Decision<undefined> {
  const { tokenHash, node, keyHash, now } = joining;
  const refusal = joinRefusal(view, joining, keyHash) ?? wrongKind(view, tokenHash, "server");
  if (refusal !== undefined) return refusal;
  const tokenKey = keys.joinToken(tokenHash);
  const token = view.joinTokens.get(tokenKey);
  if (token === undefined) return refuse("join_refused", "the token for joining is gone");
  const used: JoinToken = { ...token.value, used: { node, keyHash, at: now } };
  const removed = view.removals.get(keys.removal(serverRemoval(node)));
  const nodeKey = keys.node(node);
  return accept(
    undefined,
    [
      unchangedSince(tokenKey, token.revision),
      unchangedSince(nodeKey, view.nodes.get(nodeKey)?.revision),
    ],
    [
      { kind: "put", key: tokenKey, value: encode(used) },
      ...(removed === undefined ? [] : [{ kind: "delete", key: removed.key } as const]),
    ],
  );
}

/** A token is for a node or for a server: the two get different things by it. */
function wrongKind(
  view: ClusterView,
  tokenHash: string,
  wanted: "node" | "server",
): Refusal | undefined {
  const kind = view.joinTokens.get(keys.joinToken(tokenHash))?.value.server ? "server" : "node";
  if (kind === wanted) return undefined;
  const message = `the token is for a ${kind}: berth ${wanted} join prints one for a ${wanted}`;
  return refuse("join_refused", message);
}

/** Under what the removal of a server is remembered, where that of a node is under its member's identifier. */
export function serverRemoval(node: string): string {
  return `server:${node}`;
}

/** Makes the member and uses the token up. */
export function decideJoin(view: ClusterView, joining: NewMember): Decision<Member> {
  const refusal =
    joinRefusal(view, joining, joining.keyHash) ?? wrongKind(view, joining.tokenHash, "node");
  if (refusal !== undefined) return refusal;
  const { tokenHash, node, keyHash, memberId, address, now, notAfter } = joining;
  const tokenKey = keys.joinToken(tokenHash);
  const memberKey = keys.member(node);
  const token = view.joinTokens.get(tokenKey);
  if (token === undefined) return refuse("join_refused", "the token for joining is gone");
  const before = view.members.get(memberKey);
  const member: Member = { node, id: memberId, joinedAt: now, address, keyHash, notAfter };
  const used: JoinToken = { ...token.value, used: { node, keyHash, at: now } };
  return accept(
    member,
    [
      unchangedSince(tokenKey, token.revision),
      unchangedSince(memberKey, before?.revision),
      unchangedSince(keys.node(node), view.nodes.get(keys.node(node))?.revision),
    ],
    [
      { kind: "put", key: memberKey, value: encode(member) },
      { kind: "put", key: tokenKey, value: encode(used) },
    ],
  );
}

/** The member with a newer certificate; it has to be the same member still. */
export function decideRenewal(
  view: ClusterView,
  renewal: Pick<NewMember, "node" | "keyHash" | "memberId" | "notAfter">,
): Decision<Member> {
  const { node, keyHash, memberId, notAfter } = renewal;
  const key = keys.member(node);
  const known = view.members.get(key);
  if (known?.value.id !== memberId) {
    return refuse("node_removed", `node ${node} is no member any more`, { node });
  }
  const member: Member = { ...known.value, keyHash, notAfter };
  const put = { kind: "put", key, value: encode(member) } as const;
  return accept(member, [unchangedSince(key, known.revision)], [put]);
}
