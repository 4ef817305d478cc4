import assert from "node:assert/strict";
import { test } from "node:test";
import { madePortName } from "../interfaces.ts";
import { BridgeNews, type BridgeUsers } from "./bridge-news.ts";

const NETWORKS = [{ id: "n", bridge: "br-n" }];
const COPY = { taskId: "t", networkId: "n", address: "10.0.0.2", state: "ready" } as const;
const PORT = madePortName("br-n", "10.0.0.2");

function users(...endpoints: BridgeUsers["endpoints"]): BridgeUsers {
  return { networks: NETWORKS, endpoints };
}

function settled(): BridgeNews {
  const news = new BridgeNews();
  news.settle(users(), new Set(["br-n"]));
  return news;
}

test("a copy is looked at unless the agent made its port", () => {
  assert.equal(
    settled().hasCome(users(COPY), () => new Set(["br-n", "veth1"])),
    true,
  );
  assert.equal(
    settled().hasCome(users(COPY), () => new Set(["br-n", PORT])),
    false,
  );
});

test("what is settled is not looked at again, nor are interfaces listed for it", () => {
  const news = settled();
  news.settle(users(COPY), new Set(["br-n"]));
  assert.equal(
    news.hasCome(users(COPY), () => assert.fail("listed")),
    false,
  );
  news.follow(users());
  assert.equal(
    news.hasCome(users(COPY), () => new Set(["br-n"])),
    true,
    "it came back",
  );
});

test("a bridge is looked at once it is there, also when it comes later than its model", () => {
  const news = new BridgeNews();
  assert.equal(
    news.hasCome(users(), () => new Set()),
    false,
  );
  news.follow(users());
  assert.equal(
    news.hasCome(users(COPY), () => new Set(["br-n", PORT])),
    true,
  );
  news.settle(users(COPY), new Set(["br-n"]));
  assert.equal(
    news.hasCome(users(COPY), () => assert.fail("listed")),
    false,
  );
});

test("copies that are draining or on other nodes have no port to look at", () => {
  const news = settled();
  const elsewhere = { ...COPY, remote: true };
  const leaving = { ...COPY, taskId: "u", state: "draining" } as const;
  assert.equal(
    news.hasCome(users(elsewhere, leaving), () => assert.fail("listed")),
    false,
  );
});
