/** The watch route: who may select what, then the hub. */

import { ProtocolError, type WatchKind, type WatchSelector } from "@berth/protocol";
import type { Actor } from "../actor.ts";
import type { Handler } from "../handler.ts";

/**
 * What an agent may watch: `own` only with its own node as condition, `all` because names, routes and
 * forwarding on its node depend on all of it. Neither has secrets or environment values of others.
 */
const AGENT_KINDS: Readonly<Partial<Record<WatchKind, "own" | "all">>> = {
  assignment: "own",
  service: "own",
  attachment: "own",
  peer: "own",
  operation: "own",
  volume: "all",
  "node-status": "own",
  network: "all",
  task: "all",
  status: "all",
  node: "all",
  stack: "all",
  scale: "all",
  certificate: "all",
  "server-address": "all",
};

export const watch: Handler<"watch"> = ({ body, actor, signal }, { watches }) => {
  for (const selector of body.selectors) checkSelector(actor, selector);
  const { selectors, position } = body;
  return watches.open({
    selectors,
    actor,
    signal,
    ...(position === undefined ? {} : { position }),
  });
};

/** Kinds that exist only as a node sees them. */
const OF_NODE: ReadonlySet<WatchKind> = new Set<WatchKind>(["service", "attachment", "peer"]);

function checkSelector(actor: Actor, selector: WatchSelector): void {
  if (OF_NODE.has(selector.kind) && selector.node === undefined) {
    const message = `${selector.kind} is watched as a node sees it: the selector needs a node`;
    throw new ProtocolError("invalid_request", message, { kind: selector.kind });
  }
  if (actor.role !== "agent") return;
  const rule = AGENT_KINDS[selector.kind];
  if (rule === "all" || (rule === "own" && selector.node === actor.node)) return;
  const message = `the agent of ${actor.node} may not watch ${selector.kind} of others`;
  throw new ProtocolError("forbidden", message, { kind: selector.kind, node: actor.node });
}
