/** Joining and leaving the cluster: tokens, checks, certificates of members, removal. */

import { DAY_MS } from "@berth/base";
import {
  type Authority,
  type Invitation,
  JOIN_TTL_MS_DEFAULT,
  type JoinToken,
  keys,
  type MemberCertificate,
  type Node,
  ProtocolError,
  type Removal,
  type Task,
} from "@berth/protocol";
import { Vault } from "../../certificates/vault.ts";
import { formatLevel } from "../../formats/format-standing.ts";
import { confirmFenced } from "../../joining/confirm-fenced.ts";
import {
  decideJoin,
  decideRenewal,
  decideServerJoin,
  joinRefusal,
  tokenUseRefusal,
} from "../../joining/join-decision.ts";
import { renderJoinScript } from "../../joining/join-script.ts";
import { issueMember, type MemberKey, readMemberKey } from "../../joining/member-certificates.ts";
import { liveTasks } from "../../reconcile/fenced.ts";
import {
  accept,
  type Decision,
  refusalError,
  refuse,
  unchangedSince,
} from "../../release/refusal.ts";
import type { ClusterView } from "../../state/cluster-tables.ts";
import { encode } from "../../state/decode.ts";
import type { Actor } from "../actor.ts";
import { hashToken } from "../authenticator.ts";
import { commitDecision } from "../commit.ts";
import type { ApiContext, Handler } from "../handler.ts";
import { booleanOf } from "../paging.ts";
import { newJoinToken } from "../tokens.ts";
import { clusterId } from "./platform.ts";

/** Tokens that have not expired: a rack is set up at once, not a data centre. */
export const JOIN_TOKENS_MAX = 200;

export const createJoinToken: Handler<"createJoinToken"> = async (request, context) => {
  const { body, actor, signal } = request;
  const { clock, store, state } = context;
  const { urls, serverPin, fingerprint } = await context.entrance.open();
  const answerOf = (id: string, expiresAt: number): Invitation => ({
    ...{ token, id, expiresAt, cluster: clusterId(context), urls: [...urls] },
    ...{ serverPin, fingerprint },
  });
  const now = clock.now();
  const tokens = state.view.joinTokens.all();
  const token = newJoinToken(
    request.idempotency && context.secrets.keyedHash(request.idempotency.key),
  );
  const hash = hashToken(token);
  const earlier = tokens.find(({ value }) => value.hash === hash)?.value;
  if (earlier !== undefined) {
    if (earlier.request !== request.idempotency?.request) {
      const message = "the idempotency key was used for another token";
      throw new ProtocolError("idempotency_mismatch", message);
    }
    return answerOf(earlier.id, earlier.expiresAt);
  }
  const expired = tokens.filter(({ value }) => value.expiresAt <= now);
  if (tokens.length - expired.length >= JOIN_TOKENS_MAX) {
    const message = `there are ${JOIN_TOKENS_MAX} tokens for joining that have not expired`;
    const details = { limit: "join tokens", maximum: JOIN_TOKENS_MAX };
    throw new ProtocolError("limit_exceeded", message, details);
  }
  const isServer = body.server === true;
  if (isServer) await context.entrance.welcome();
  const row: JoinToken = {
    id: context.newId(),
    hash,
    ...(request.idempotency === undefined ? {} : { request: request.idempotency.request }),
    createdAt: now,
    expiresAt: now + (body.ttlMs ?? JOIN_TTL_MS_DEFAULT),
    createdBy: actor.name,
    ...(body.node === undefined ? {} : { node: body.node }),
    ...(isServer ? { server: true } : {}),
  };
  // Not by the record of an idempotency key, which would keep the token itself: the token follows from the key.
  const { revision } = await store.txn({
    compare: [],
    then: [
      ...expired.slice(0, EXPIRED_PER_TXN).map(({ key }) => ({ kind: "delete", key }) as const),
      { kind: "put", key: keys.joinToken(row.hash), value: encode(row) },
    ],
  });
  await state.waitFor(revision, signal);
  return answerOf(row.id, row.expiresAt);
};

/** Of the 128 operations of a transaction; the rest goes with the next token. */
const EXPIRED_PER_TXN = 100;

export const joinScript: Handler<"joinScript"> = async (_request, context) => {
  const { software } = context.entrance;
  const { serverPin, fingerprint } = await context.entrance.open();
  return renderJoinScript({
    architecture: software.architecture,
    files: await software.files(),
    version: context.version,
    serverPin,
    fingerprint,
  });
};

export const getSoftware: Handler<"getSoftware"> = async ({ params, actor }, context) => {
  if (actor.role === "joiner") {
    const refusal = tokenUseRefusal(context.state.view, actor.tokenHash, context.clock.now());
    if (refusal !== undefined) throw refusalError(refusal);
  }
  const bytes = await context.entrance.software.read(params.digest);
  if (bytes !== undefined) return bytes;
  throw new ProtocolError("not_found", `nothing of this version of Berth is ${params.digest}`);
};

export const checkJoin: Handler<"checkJoin"> = async ({ body, actor, remoteAddress }, context) => {
  const { clock, settings, state, entrance, version } = context;
  const now = clock.now();
  const asked = { tokenHash: tokenHashOf(actor), node: body.node, hostNow: body.now, now };
  const refusal = joinRefusal(state.view, asked);
  if (refusal !== undefined) throw refusalError(refusal);
  const { clusterRange, serviceRange } = settings;
  const { callbackPort } = body;
  const address = plainAddress(remoteAddress);
  const token = state.view.joinTokens.get(keys.joinToken(asked.tokenHash))?.value;
  const welcome = token?.server ? await entrance.welcome() : undefined;
  return {
    cluster: clusterId(context),
    formatLevel: formatLevel(state.view),
    ...(welcome === undefined ? {} : { server: { storeUrl: welcome.store.url } }),
    version,
    now,
    clusterRange,
    ...(serviceRange === undefined ? {} : { serviceRange }),
    address,
    ...(callbackPort === undefined ? {} : { reached: await entrance.reach(address, callbackPort) }),
  };
};

export const joinNode: Handler<"joinNode"> = async (request, context) => {
  const { body, actor, remoteAddress } = request;
  const { clock, newId } = context;
  const key = await readMemberKey(body.signingRequest);
  const { node } = body;
  const memberId = newId();
  // Made before anything is used up: what cannot be made uses no token.
  const certificate = await issued(context, { node, member: memberId, key });
  const joining = {
    ...{ tokenHash: tokenHashOf(actor), node, hostNow: body.now, now: clock.now() },
    ...{ keyHash: key.hash, memberId, notAfter: certificate.notAfter },
    address: plainAddress(remoteAddress),
  };
  await commitDecision(context, withoutRecord(request), { route: "joinNode" }, (view) =>
    decideJoin(view, joining),
  );
  return certificate;
};

export const joinServer: Handler<"joinServer"> = async (request, context) => {
  const { body, actor } = request;
  // Read before anything is used up: what cannot be told uses no token.
  const welcome = await context.entrance.welcome();
  const joining = {
    ...{ tokenHash: tokenHashOf(actor), node: body.node },
    ...{ hostNow: body.now, now: context.clock.now(), keyHash: hashToken(body.proof) },
  };
  await commitDecision(context, withoutRecord(request), { route: "joinServer" }, (view) =>
    decideServerJoin(view, joining),
  );
  return { cluster: clusterId(context), ...welcome };
};

export const renewNodeCertificate: Handler<"renewNodeCertificate"> = async (request, context) => {
  const { params, body } = request;
  const { node } = params;
  const key = await readMemberKey(body.signingRequest);
  const member = context.state.view.members.get(keys.member(node))?.value;
  if (member === undefined) {
    throw new ProtocolError("node_removed", `node ${node} is no member`, { node });
  }
  const certificate = await issued(context, { node, member: member.id, key });
  const { notAfter } = certificate;
  const renewal = { node, keyHash: key.hash, memberId: member.id, notAfter };
  await commitDecision(context, request, { route: "renewNodeCertificate" }, (view) =>
    decideRenewal(view, renewal),
  );
  return certificate;
};

export const confirmNodeFenced: Handler<"confirmNodeFenced"> = (request, context) => {
  const { params, actor } = request;
  const word = { node: params.node, who: actor.name, now: context.clock.now() };
  return commitDecision(context, request, { route: "confirmNodeFenced" }, (view) =>
    confirmFenced(view, word),
  );
};

export const removeNode: Handler<"removeNode"> = (request, context) => {
  const { params, query } = request;
  const force = booleanOf("force", query.force);
  const removal = { node: params.node, at: context.clock.now(), by: request.actor.name };
  return commitDecision(context, request, { route: "removeNode" }, (view) =>
    withoutNode(view, removal, force),
  );
};

/** A node that was away for longer than this has a certificate that expired long ago. */
const REMOVAL_AGE_MS = 90 * DAY_MS;
/** Old ones that go with a new one; more come than go only for a while. */
const REMOVALS_PER_TXN = 50;

function withoutNode(view: ClusterView, removal: Removal, force: boolean): Decision<Node> {
  const name = removal.node;
  const node = view.nodes.get(keys.node(name));
  const member = view.members.get(keys.member(name));
  if (node === undefined) return refuse("not_found", `there is no node ${name}`);
  if (member === undefined) {
    const message = `${name} is the machine of the server itself: it cannot leave its cluster`;
    return refuse("still_in_use", message, { node: name });
  }
  const users = force ? [] : liveTasks(view, name).map(copyName);
  if (users.length > 0) {
    const shown = users.slice(0, USERS_SHOWN).join(", ");
    const message = `node ${name} still runs ${users.length} copies: ${shown}; drain it first, or force it`;
    return refuse("still_in_use", message, { node: name, users: users.slice(0, USERS_SHOWN) });
  }
  const status = view.nodeStatuses.get(keys.nodeStatus(name));
  return accept(
    node.value,
    [unchangedSince(node.key, node.revision), unchangedSince(member.key, member.revision)],
    [
      { kind: "delete", key: node.key },
      { kind: "delete", key: member.key },
      ...(status === undefined ? [] : [{ kind: "delete", key: status.key } as const]),
      { kind: "put", key: keys.removal(member.value.id), value: encode(removal) },
      ...view.removals
        .all()
        .filter(({ value }) => removal.at - value.at > REMOVAL_AGE_MS)
        .slice(0, REMOVALS_PER_TXN)
        .map(({ key }) => ({ kind: "delete", key }) as const),
    ],
  );
}

/** Users that a refusal names. */
const USERS_SHOWN = 10;

function copyName({ stack, service, slot }: Task): string {
  return `${stack}/${service}-${slot}`;
}

function tokenHashOf(actor: Actor): string {
  if (actor.role === "joiner") return actor.tokenHash;
  throw new ProtocolError("forbidden", "only a token for joining lets a host join");
}

function authorityOf({ state }: ApiContext): Authority {
  const authority = state.view.authority.get(keys.authority())?.value;
  if (authority !== undefined) return authority;
  throw new ProtocolError("unavailable", "the cluster's authority is being made: try again");
}

function issued(
  context: ApiContext,
  wanted: { readonly node: string; readonly member: string; readonly key: MemberKey },
): Promise<MemberCertificate> {
  const { secrets, store, clock } = context;
  return issueMember({
    authority: authorityOf(context),
    vault: new Vault({ box: secrets, store }),
    cluster: clusterId(context),
    ...wanted,
    now: clock.now(),
  });
}

/** A repeated join is recognised by its key, not by a record that others could ask for. */
function withoutRecord<Request extends { readonly idempotency: unknown }>(request: Request) {
  return { ...request, idempotency: undefined };
}

/** IPv4 as it is written, where a socket of both families says `::ffff:10.0.0.1`. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, "");
}
