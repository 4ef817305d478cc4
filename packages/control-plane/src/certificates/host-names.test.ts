import assert from "node:assert/strict";
import { test } from "node:test";
import { coverage, hostProblem, isAmong, isOfThisMachine, plainHost } from "./host-names.ts";

test("hosts of certificates are names, wildcards of one label, addresses", () => {
  for (const host of ["a.test", "*.a.test", "10.0.0.1", "fd00::1", "localhost", "a_b.test"]) {
    assert.equal(hostProblem(host), undefined, host);
  }
  const wrong = [
    "",
    "*",
    "a..b",
    "*.*.test",
    "a.*.test",
    "-a.test",
    "a b",
    "ä.test",
    `${"a".repeat(64)}.test`,
    "a/b",
  ];
  for (const host of wrong) assert.notEqual(hostProblem(host), undefined, host);
});

test("a certificate covers its names, and with a wildcard one label below", () => {
  const rows: readonly (readonly [readonly string[], string, string | undefined])[] = [
    [["a.test"], "a.test", "exact"],
    [["A.Test."], "a.tEST", "exact"],
    [["*.a.test"], "x.a.test", "wildcard"],
    [["*.a.test"], "a.test", undefined],
    [["*.a.test"], "x.y.a.test", undefined],
    [["*.a.test"], "*.a.test", "exact"],
    [["*.a.test", "x.a.test"], "x.a.test", "exact"],
    [["x.a.test"], "*.a.test", undefined],
    [["10.0.0.1"], "10.0.0.1", "exact"],
    [["*.0.0.1"], "10.0.0.1", undefined],
    [[], "a.test", undefined],
  ];
  for (const [names, host, expected] of rows) {
    assert.equal(coverage(names, host), expected, `${names} ${host}`);
  }
});

test("patterns that limit ACME cover everything below, at any depth", () => {
  assert.ok(isAmong(["*.example.com"], "a.b.example.com"));
  assert.ok(isAmong(["*.example.com"], "*.b.example.com"));
  assert.ok(isAmong(["*.example.com"], "*.example.com"));
  assert.ok(isAmong(["Example.com"], "example.com."));
  assert.ok(!isAmong(["*.example.com"], "example.com"));
  assert.ok(!isAmong(["*.example.com"], "badexample.com"));
  assert.ok(!isAmong([], "example.com"));
});

test("names of this machine are localhost and below", () => {
  for (const host of ["localhost", "a.localhost", "*.localhost"]) assert.ok(isOfThisMachine(host));
  for (const host of ["notlocalhost", "localhost.test"]) assert.ok(!isOfThisMachine(host));
  assert.equal(plainHost(" Shop.Test. "), "shop.test");
});
