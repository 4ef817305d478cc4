/**
 * A server leaves the cluster: what is known of it, its tokens and its machine as a node go in one transaction. Pure.
 *
 * It has to be stopped before: a server that runs would write itself in again. The removal is remembered, so that it
 * refuses to start until it joins anew. What cannot be taken back is that its host has seen the key of the secrets.
 */

import { keys, type Removal } from "@berth/protocol";
import { serverRemoval } from "../joining/join-decision.ts";
import { liveTasks } from "../reconcile/fenced.ts";
import { accept, type Decision, refuse, unchangedSince } from "../release/refusal.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";

/** Copies that a refusal names. */
const COPIES_SHOWN = 10;

export function withoutServer(
  view: ClusterView,
  removal: Removal,
  force: boolean,
): Decision<{ readonly node: string }> {
  const { node: name } = removal;
  const address = view.serverAddresses.get(keys.serverAddress(name));
  if (address === undefined || view.members.get(keys.member(name)) !== undefined) {
    return refuse("not_found", `there is no server ${name}`);
  }
  const isPresent = view.servers.all().some(({ value }) => value.node === name);
  if (isPresent || view.leader.get(keys.leader())?.value.node === name) {
    const message = `server ${name} runs: end it first, with berth platform stop on its host`;
    return refuse("still_in_use", message, { node: name });
  }
  const copies = force ? [] : liveTasks(view, name).map(copyName);
  if (copies.length > 0) {
    const message = `${name} still runs ${copies.length} copies: ${copies.slice(0, COPIES_SHOWN).join(", ")}; drain it as a node first, or force it`;
    return refuse("still_in_use", message, { node: name, users: copies.slice(0, COPIES_SHOWN) });
  }
  const names = [`admin:${name}`, `agent:${name}`];
  const rows = [
    address,
    view.nodes.get(keys.node(name)),
    view.nodeStatuses.get(keys.nodeStatus(name)),
    ...view.tokens.all().filter(({ value }) => names.includes(value.name)),
  ].filter((row) => row !== undefined);
  return accept(
    { node: name },
    rows.map(({ key, revision }) => unchangedSince(key, revision)),
    [
      ...rows.map(({ key }) => ({ kind: "delete", key }) as const),
      { kind: "put", key: keys.removal(serverRemoval(name)), value: encode(removal) },
    ],
  );
}

function copyName({ stack, service, slot }: { stack: string; service: string; slot: number }) {
  return `${stack}/${service}-${slot}`;
}
