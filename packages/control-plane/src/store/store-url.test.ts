import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStoreUrl } from "./store-url.ts";

test("places of stores are read", () => {
  const etcd = (endpoints: readonly string[], prefix = "/berth/") => ({
    kind: "etcd",
    endpoints,
    prefix,
  });
  const cases = {
    embedded: { kind: "embedded" },
    "etcd://127.0.0.1:2379": etcd(["http://127.0.0.1:2379"]),
    "etcd://localhost:1,[::1]:2/": etcd(["http://localhost:1", "http://[::1]:2"]),
    "etcds://a.example:2379,10.0.0.2:2379/prod": etcd(
      ["https://a.example:2379", "https://10.0.0.2:2379"],
      "/prod/",
    ),
  };
  for (const [text, place] of Object.entries(cases)) assert.deepEqual(parseStoreUrl(text), place);
});

test("what is no place of a store is refused with what was expected", () => {
  const cases = {
    "": /expected embedded/,
    "http://127.0.0.1:2379": /expected embedded/,
    "etcd://127.0.0.1": /no host:port/,
    "etcd://127.0.0.1:0": /no host:port/,
    "etcd://127.0.0.1:99999": /no host:port/,
    "etcd://10.0.0.1:2379": /use etcds/,
    "etcds://a:1,": /no host:port/,
    "etcds://a:1/two/names": /one name/,
  };
  for (const [text, message] of Object.entries(cases)) {
    assert.throws(() => parseStoreUrl(text), { code: "invalid_request", message });
  }
});
