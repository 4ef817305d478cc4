/** Keys say what they are, sort as numbers do, and cannot be forged by names. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KINDS, keys, parseKey } from "./keys.ts";
import { isName } from "./name-pattern.ts";
import { serviceKey, stackKey } from "./names.ts";

const SCOPE = { project: "default", environment: "main", stack: "shop" };
const SERVICE = { ...SCOPE, service: "web" };

test("each kind lies where the table says", () => {
  const cases: readonly (readonly [string, string])[] = [
    [keys.stack(SCOPE), "default/main/stack/shop"],
    [keys.release(SCOPE, 7), "default/main/release/shop/00000007"],
    [keys.scale(SERVICE), "default/main/scale/shop/web"],
    [keys.deployment(SCOPE, "d1"), "default/main/deployment/shop/d1"],
    [keys.task(SCOPE, "t1"), "default/main/task/shop/t1"],
    [keys.status(SCOPE, "t1"), "default/main/status/shop/t1"],
    [keys.volume(SCOPE, "data"), "default/main/volume/shop/data"],
    [keys.volume(SCOPE, "data", 2), "default/main/volume/shop/data.2"],
    [keys.secret(SCOPE, "pw", "v1"), "default/main/secret/shop/pw/v1"],
    [keys.event("default", "main", "e1"), "default/main/event/e1"],
    [keys.node("node-1"), "-/-/node/node-1"],
    [keys.operation("node-1", "o1"), "-/-/operation/node-1/o1"],
    [keys.cluster(), "-/-/cluster/self"],
    [
      keys.claim({ kind: "host-port", protocol: "tcp", address: "0.0.0.0", port: 80 }),
      "-/-/claim/host-port/tcp/0.0.0.0/80",
    ],
    [
      keys.claim({ kind: "http-route", host: "a.example", path: "/x/y" }),
      "-/-/claim/http-route/a.example/%2Fx%2Fy",
    ],
  ];
  for (const [found, expected] of cases) assert.equal(found, expected);
});

test("the order of release keys is the order of their numbers", () => {
  const number = fc.integer({ min: 1, max: 99_999_999 });
  fc.assert(
    fc.property(number, number, (a, b) => {
      assert.equal(keys.release(SCOPE, a) < keys.release(SCOPE, b), a < b);
    }),
    { seed: 1 },
  );
});

test("whatever a name is, it stays one segment and comes back", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (name) => {
      const key = keys.scale({ ...SCOPE, service: name });
      assert.equal(key.split("/").length, 5);
      assert.deepEqual(parseKey(key), {
        project: "default",
        environment: "main",
        kind: "scale",
        name: ["shop", name],
      });
    }),
    { seed: 2 },
  );
});

test("what is no key of ours is none", () => {
  for (const text of ["", "a", "a/b", "a/b/stack", "a/b/nothing/x", "a/b/constructor/x"]) {
    assert.equal(parseKey(text), undefined, text);
  }
});

test("kinds of the cluster lie outside every project", () => {
  assert.ok(!isName("-"));
  for (const [kind, { cluster }] of Object.entries(KINDS)) {
    if (cluster) assert.ok(!["stack", "task", "release"].includes(kind));
  }
  assert.equal(stackKey(SCOPE), "default/main/shop");
  assert.equal(serviceKey(SERVICE), "default/main/shop/web");
});

test("names are DNS labels", () => {
  for (const name of ["a", "node-1", "x".repeat(63)]) assert.ok(isName(name), name);
  for (const name of ["", "-a", "a-", "A", "a_b", "a.b", "x".repeat(64), "a/b", "ä", "a\n"]) {
    assert.ok(!isName(name), name);
  }
});
