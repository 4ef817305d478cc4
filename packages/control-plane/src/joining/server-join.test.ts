/** Servers that join and leave, decided: tokens of the wrong kind, names that are taken, servers that run. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type JoinToken, keys, type ServerAddress, type Token } from "@berth/protocol";
import type { Decision } from "../release/refusal.ts";
import { withoutServer } from "../servers/server-removal.ts";
import { TableCluster } from "../testing/table-cluster.ts";
import { decideJoin, decideServerJoin, serverRemoval } from "./join-decision.ts";

const NOW = 1_000_000;
const ADDRESS: ServerAddress = {
  node: "three",
  urls: [],
  authority: "",
  version: "0.1.0",
  protocol: 3,
  at: NOW,
};

function cluster(kind: "node" | "server" = "server"): TableCluster {
  const made = new TableCluster();
  const server = kind === "server" ? ({ server: true } as const) : {};
  const times = { createdAt: NOW - 1, expiresAt: NOW + 1, createdBy: "admin" };
  const token: JoinToken = { id: "t", hash: "h", ...times, ...server };
  made.put("join-token", keys.joinToken("h"), token);
  return made;
}

function join(made: TableCluster, keyHash = "proof", node = "three") {
  const asked = { tokenHash: "h", node, hostNow: NOW, now: NOW, keyHash };
  return decideServerJoin(made.view, asked);
}

function words(decision: Decision<unknown>): string {
  return decision.kind === "refused" ? decision.message : "accepted";
}

test("a token is for a server or for a node, not for both", () => {
  assert.equal(words(join(cluster())), "accepted");
  assert.match(words(join(cluster("node"))), /the token is for a node: berth server join prints/);
  const asNode = { tokenHash: "h", node: "two", hostNow: NOW, now: NOW, keyHash: "k" };
  const member = { ...asNode, memberId: "m", address: "10.0.0.2", notAfter: NOW };
  assert.match(
    words(decideJoin(cluster().view, member)),
    /is for a server: berth node join prints/,
  );
  assert.equal(words(decideJoin(cluster("node").view, member)), "accepted");
});

test("a token lets one server in; the same host may repeat itself", () => {
  const made = cluster();
  const first = join(made);
  assert.ok(first.kind === "accepted");
  const [used] = first.txn.then;
  assert.ok(used?.kind === "put");
  made.put("join-token", used.key, JSON.parse(used.value));
  assert.equal(words(join(made)), "accepted");
  assert.match(words(join(made, "another proof")), /was used by three: each is for one host/);
  assert.match(words(join(made, "proof", "four")), /was used by three/);
});

test("a name that a node has is refused", () => {
  const made = cluster();
  made.addNode("three");
  assert.match(words(join(made)), /there is a node three already \(up\)/);
});

function removal(made: TableCluster, force = false) {
  return withoutServer(made.view, { node: "three", at: NOW, by: "admin" }, force);
}

test("a server that runs is not forgotten; one that was stopped goes with its tokens and its node", () => {
  const made = cluster();
  assert.match(words(removal(made)), /there is no server three/);
  made.put("server-address", keys.serverAddress("three"), ADDRESS);
  made.addNode("three");
  const tokens = ["admin:three", "agent:three", "admin:two"].map((name): Token => {
    return { name, hash: name, role: "admin", createdAt: 1 };
  });
  for (const token of tokens) made.put("token", keys.token(token.hash), token);
  const presence = { server: "s", node: "three", since: 1, heard: [] };
  made.put("server", keys.server("s"), presence);
  assert.match(words(removal(made)), /server three runs: end it first/);
  made.view.table("server").delete(keys.server("s"));
  const decision = removal(made);
  assert.ok(decision.kind === "accepted", words(decision));
  const deleted = decision.txn.then.flatMap((each) => (each.kind === "delete" ? each.key : []));
  assert.deepEqual(
    deleted.sort(),
    [
      keys.serverAddress("three"),
      keys.node("three"),
      keys.nodeStatus("three"),
      keys.token("admin:three"),
      keys.token("agent:three"),
    ].sort(),
  );
  assert.deepEqual(
    decision.txn.then.flatMap((each) => (each.kind === "put" ? each.key : [])),
    [keys.removal(serverRemoval("three"))],
  );
});

test("a server that was removed and joins anew is no longer a removed one", () => {
  const made = cluster();
  const key = keys.removal(serverRemoval("three"));
  made.put("removal", key, { node: "three", at: 1, by: "admin" });
  const decision = join(made);
  assert.ok(decision.kind === "accepted");
  assert.ok(decision.txn.then.some((each) => each.kind === "delete" && each.key === key));
});
