/** Routes of stack files: what each key becomes, and what is refused at which place. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { compileWeb } from "./compile-sample.ts";

/** Compiles one route, from its keys. */
function compiled(keys: string, more = "") {
  const { web, said } = compileWeb(`${more}x-berth: {routes: [{${keys}}]}`);
  return { route: web.routes[0], tcp: web.tcpRoutes?.[0], said };
}

const PLAIN = { host: "a.test", path: "/", port: 80 };

const BECOMES: readonly (readonly [string, object])[] = [
  ["", {}],
  ["path: /api", { path: "/api" }],
  ["path_exact: /a", { pathExact: "/a" }],
  ["path_regex: '/v[0-9]+'", { pathRegex: "/v[0-9]+" }],
  ["methods: [get, POST]", { methods: ["GET", "POST"] }],
  ["methods: get", { methods: ["GET"] }],
  [
    "headers: {X-A: b, X-N: 5, X-R: {regex: 'c+'}, X-P: {present: false}}",
    {
      headers: [
        { name: "X-A", kind: "exact", value: "b" },
        { name: "X-N", kind: "exact", value: "5" },
        { name: "X-R", kind: "regex", value: "c+" },
        { name: "X-P", kind: "absent" },
      ],
    },
  ],
  ["tls: true", { tls: "both" }],
  ["tls: on", { tls: "both" }],
  ["tls: off", { tls: "off" }],
  [
    "tls: required, hsts: true, tls_min: 1.3",
    {
      tls: "required",
      hsts: { maxAgeSeconds: 31_536_000, subdomains: false },
      tlsVersionMin: "1.3",
    },
  ],
  [
    "tls: on, hsts: {max_age: 1h, subdomains: true}",
    { tls: "both", hsts: { maxAgeSeconds: 3_600, subdomains: true } },
  ],
  ["protocol: grpc", { protocol: "h2c" }],
  ["rewrite: {strip: /a}", { rewrite: { kind: "strip-prefix", prefix: "/a" } }],
  [
    "rewrite: {replace: /a, by: /b}",
    { rewrite: { kind: "replace-prefix", prefix: "/a", by: "/b" } },
  ],
  ["rewrite: {path: /a}", { rewrite: { kind: "set-path", path: "/a" } }],
  ["redirect: {host: b.test}", { redirect: { code: 308, host: "b.test" } }],
  [
    "request_headers: {remove: X-A, set: {X-B: c}, add: {X-D: e}}",
    {
      requestHeaders: [
        { kind: "remove", name: "X-A" },
        { kind: "set", name: "X-B", value: "c" },
        { kind: "add", name: "X-D", value: "e" },
      ],
    },
  ],
  ["compress: true", { compression: true }],
  ["body_max: 1m", { bodyBytesMax: 1_048_576 }],
  ["rate: {requests: 10}", { rateLimit: { requests: 10, periodMs: 1_000 } }],
  ["rate: {requests: 10, per: 1m}", { rateLimit: { requests: 10, periodMs: 60_000 } }],
  ["auth: {secret: users}", { auth: { secret: "users", realm: "a.test" } }],
  [
    "allow: 10.0.0.0/8, deny: ['10.1.0.0/16', 'fd00::/8']",
    { allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16", "fd00::/8"] },
  ],
  ["sticky: cookie", { sticky: { kind: "cookie", name: "BERTH" } }],
  ["sticky: {by: cookie, cookie: SHOP}", { sticky: { kind: "cookie", name: "SHOP" } }],
  ["sticky: source", { sticky: { kind: "source" } }],
  [
    "timeouts: {connect: 500ms, response: 1m}",
    { timeouts: { connectMs: 500, responseMs: 60_000 } },
  ],
  [
    "retries: 0, connections_max: 20, proxy_protocol: true, access_log: false",
    { retries: 0, connectionsPerCopyMax: 20, proxyProtocol: true, accessLog: false },
  ],
  [
    "errors: {'503': '<p>soon</p>', '404': {body: no, intercept: true}}",
    {
      errorPages: [
        { status: 404, contentType: "text/plain; charset=utf-8", body: "no", intercept: true },
        { status: 503, contentType: "text/html; charset=utf-8", body: "<p>soon</p>" },
      ],
    },
  ],
];

test("each key becomes what the platform calls it", () => {
  for (const [keys, fields] of BECOMES) {
    const { route, said } = compiled(`host: a.test, port: 80${keys === "" ? "" : `, ${keys}`}`);
    assert.deepEqual(said, [], keys);
    assert.deepEqual(route, { ...PLAIN, ...fields }, keys);
  }
});

test("several hosts are one route", () => {
  const { route } = compiled("host: [A.test, '*.b.test'], port: 80");
  assert.deepEqual(route, { ...PLAIN, moreHosts: ["*.b.test"] });
});

test("connections: by port, and by the name that TLS tells", () => {
  const plain = compiled(
    "tcp: 5432, port: 5433, proxy_protocol: true, sticky: source, timeouts: {idle: 1h}",
  );
  assert.deepEqual(plain.tcp, {
    listen: 5432,
    port: 5433,
    proxyProtocol: true,
    sticky: true,
    idleMs: 3_600_000,
  });
  const named = compiled("tls: passthrough, host: db.test, port: 5433");
  assert.deepEqual(
    [named.tcp, named.route, named.said],
    [{ hosts: ["db.test"], port: 5433 }, undefined, []],
  );
});

test("the port may be left out where the service states one", () => {
  assert.deepEqual(compiled("host: a.test", "expose: ['80']\n").route, PLAIN);
  assert.deepEqual(compiled("host: a.test").said, [
    "error services.web.x-berth.routes.0: the port is missing, and the service states none by expose or ports",
  ]);
  assert.deepEqual(compiled("host: a.test", "expose: ['80', '81']\n").said, [
    "error services.web.x-berth.routes.0: the port is missing: one of 80, 81",
  ]);
  assert.deepEqual(compiled("host: a.test, port: 82", "expose: ['80', '81']\n").said, [
    "warning services.web.x-berth.routes.0.port: 82 is none of the ports that the service states (80, 81)",
  ]);
});

const REFUSED: readonly (readonly [string, string])[] = [
  ["port: 80", ": the key host is missing"],
  [
    "host: a.test, port: 80, path: /a, path_exact: /b",
    ".path: a route has path, path_exact or path_regex",
  ],
  [
    "host: a.test, port: 80, allow: [10.0.0.0/33]",
    '.allow.0: "10.0.0.0/33" is no address or range such as 10.0.0.0/8',
  ],
  ["host: a.test, port: 80, hsts: true", ".hsts: has no meaning without tls"],
  [
    "host: a.test, port: 80, rewrite: {strip: /a, path: /b}",
    ".rewrite: a path is rewritten in one way: strip, replace, regex or path",
  ],
  ["host: a.test, port: 80, rewrite: {replace: /a}", ".rewrite.by: goes with replace or regex"],
  [
    "host: a.test, port: 80, redirect: {code: 305, host: b.test}",
    ".redirect.code: 305: one of 301, 302, 303, 307, 308",
  ],
  ["host: a.test, port: 80, errors: {'418': x}", ".errors.418: there can be no page for 418"],
  [
    "host: a.test, port: 80, headers: {X-A: {prefix: a, regex: b}}",
    ".headers.X-A: a header is compared in one way: a value, prefix, regex or present",
  ],
  [
    "tcp: 1, port: 80, compress: true",
    ".compress: needs requests to look into: not with tcp or tls: passthrough",
  ],
  [
    "tcp: 1, port: 80, host: a.test",
    ".host: connections have no host, unless tls: passthrough tells it",
  ],
  ["tls: passthrough, port: 80", ".tls: the host is missing: it tells whose TLS it is"],
];

test("what makes no sense together is refused at its place", () => {
  for (const [keys, words] of REFUSED) {
    const { said } = compiled(keys);
    assert.equal(said[0], `error services.web.x-berth.routes.0${words}`, keys);
  }
});
