/** Routes that make no sense are refused by key, with what is wrong. */

import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import type { RouteSpec } from "./resources/route-spec.ts";
import { isRange, routeProblems, tcpRouteProblems } from "./route-rules.ts";

const ROUTE: RouteSpec = { host: "shop.test", path: "/", port: 80 };

const CASES: readonly (readonly [Partial<RouteSpec>, readonly string[]])[] = [
  [{}, []],
  [{ host: "*", moreHosts: ["*.a.test"] }, []],
  [{ host: "a b" }, ["host"]],
  [{ moreHosts: ["*a.test"] }, ["host"]],
  [{ path: "/a?b" }, ["path"]],
  [{ pathExact: "/'" }, ["path_exact"]],
  [{ pathRegex: "(a+)+" }, ["path_regex"]],
  [{ pathRegex: "/a", pathExact: "/b" }, ["path_regex"]],
  [{ headers: [{ name: "X", kind: "exact" }] }, ["headers.X"]],
  [{ headers: [{ name: "X", kind: "regex", value: "(" }] }, ["headers.X"]],
  [{ headers: [{ name: "X", kind: "absent" }] }, []],
  [{ split: { a: 60, b: 50 } }, ["split"]],
  [{ rewrite: { kind: "regex", regex: "/a", by: "/a b" } }, ["rewrite.by"]],
  [{ redirect: { code: 301 } }, ["redirect"]],
  [{ redirect: { code: 301, path: "/a", prefix: "/b" } }, ["redirect.prefix"]],
  [{ allow: ["10.0.0.0/8", "10.0.0.0/33"], deny: ["x"] }, ["allow[1]", "deny[0]"]],
  [{ hsts: { maxAgeSeconds: 1, subdomains: false }, tlsVersionMin: "1.3" }, ["hsts", "tls_min"]],
  [{ tls: "both", hsts: { maxAgeSeconds: 1, subdomains: false } }, []],
  [{ errorPages: [{ status: 418, contentType: "text/html", body: "" }] }, ["errors.418"]],
];

test("each mistake is told by its key", () => {
  for (const [change, keys] of CASES) {
    const found = routeProblems({ ...ROUTE, ...change }).map(({ key }) => key);
    assert.deepEqual(found, keys, JSON.stringify(change));
  }
  assert.deepEqual(
    tcpRouteProblems({ port: 1 }).map(({ key }) => key),
    ["tcp"],
  );
  assert.deepEqual(tcpRouteProblems({ port: 1, listen: 2 }), []);
});

test("addresses and ranges are what Node takes for such", () => {
  const addresses = [
    "10.0.0.1",
    "256.0.0.1",
    "::",
    "::1",
    "fd00::1:2",
    "1::2::3",
    "a:b",
    "01.2.3.4",
  ].concat(["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "g::", "10.0.0", "", "::1:2:3:4:5:6:7:8"]);
  for (const address of addresses) {
    // A leading zero is Node's own opinion; HAProxy reads it.
    if (address.startsWith("0")) continue;
    assert.equal(isRange(address), isIP(address) !== 0, address);
  }
  assert.deepEqual(["10.0.0.0/8", "fd00::/8"].map(isRange), [true, true]);
  assert.deepEqual(["10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10/8"].map(isRange), [
    false,
    false,
    false,
    false,
  ]);
});
