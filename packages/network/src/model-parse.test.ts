/** The border: what is let through, and how a refusal names its place. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { emptyModel, nextGeneration } from "./model.ts";
import { parseModel } from "./model-parse.ts";
import { modelOf } from "./testing/model-text.ts";

const GOOD = modelOf(`
network n1 shop 10.1.0.0/24
network n2 shop 10.2.0.0/24 internal
service shop/web n1 n2 alias=www vip=10.200.0.1 ports=http:80/tcp
endpoint shop/web 1 n1 10.1.0.11 hostname=alpha
attachment shop/web 1 n1 10.1.0.11
route r1 shop.test,*.shop.test /api shop/web n1 80
port p1 0.0.0.0 5432 shop/web n1 80
forwarder 192.0.2.1#5353
open tcp 22
`);

function reasonFor(change: (draft: Record<string, unknown>) => void): string {
  const draft = structuredClone(GOOD) as unknown as Record<string, unknown>;
  change(draft);
  const result = parseModel(draft);
  if (!result.ok) return `refused ${result.reason}`;
  return result.dropped.map(({ path, reason }) => `left out ${path}: ${reason}`).join("\n");
}

/** Sets the value at a path like `networks.0.bridge`. */
function set(path: string, value: unknown): (draft: Record<string, unknown>) => void {
  return (draft) => {
    const keys = path.split(".");
    const last = keys.pop() ?? "";
    let at: Record<string, unknown> = draft;
    for (const key of keys) at = at[key] as Record<string, unknown>;
    at[last] = value;
  };
}

test("a good model comes through as it is, also over JSON, and an empty one does", () => {
  assert.deepEqual(parseModel(JSON.parse(JSON.stringify(GOOD))), {
    ok: true,
    model: GOOD,
    dropped: [],
  });
  assert.ok(parseModel(emptyModel("c1")).ok);
});

test("unknown keys are dropped: a newer agent may say more", () => {
  const result = parseModel({ ...GOOD, later: 1 });
  assert.deepEqual(result, { ok: true, model: GOOD, dropped: [] });
});

const REFUSALS: readonly (readonly [string, unknown, RegExp])[] = [
  ["format", 2, /^refused model\.format: expected one of 1, found 2$/],
  ["generation", -1, /^refused model\.generation: expected an integer/],
  ["generation", 1.5, /^refused model\.generation/],
  ["cluster.id", "Too-Long-Id", /^refused model\.cluster\.id/],
  ["networks.0.bridge", "a-name-that-is-too-long", /^refused model\.networks\[0\]\.bridge/],
  ["networks.0.bridge", 'x"; drop', /^refused model\.networks\[0\]\.bridge/],
  ["networks.0.subnet", "10.1.0.1/24", /an IPv4 network/],
  ["networks.0.gateway", "10.9.0.1", /an address of 10\.1\.0\.0\/24/],
  ["networks.1.subnet", "10.1.0.0/16", /^refused model\.networks\[1\]\.(gateway|subnet)/],
  ["networks.1.id", "n1", /an id of its own/],
  ["networks.1.bridge", "br-n1", /^refused model\.networks\[1\]\.bridge/],
  ["services.0.stack", "shop.x", /a name without dots/],
  [
    "services.0.networks.0.networkId",
    "nx",
    /^left out model\.services\[0\]\.networks\[0\]: no network nx/,
  ],
  ["services.0.service", "web\nserver evil", /^left out model\.services\[0\]: .*a name/],
  ["endpoints.0.address", "10.1.0.011", /^left out .*an IPv4 address/],
  ["endpoints.0.state", "starting", /one of ready, draining/],
  ["endpoints.0.networkId", "nx", /^left out model\.endpoints\[0\]: no network nx/],
  ["attachments.0.mac", "02:42", /a MAC address/],
  ["ingress.httpRoutes.0.hosts", [], /^left out .*at least one item/],
  ["ingress.httpRoutes.0.hosts.0", "a b", /a host name/],
  ["ingress.httpRoutes.0.hosts.0", "a.*.b", /a host name/],
  ["ingress.httpRoutes.0.pathPrefix", "/a' }", /a path/],
  ["ingress.httpRoutes.0.pathPrefix", "api", /a path/],
  ["ingress.tcpPorts.0.hostPort", 65_536, /an integer from 1 to 65535/],
  [
    "services.0.networks.0.aliases.0",
    "a b",
    /^left out model\.services\[0\]\.networks\[0\]\.aliases\[0\]/,
  ],
  ["forwarders.0", "dns.example", /an address with an optional #port/],
  ["forwarders.0", "192.0.2.1#99999", /an address with an optional #port/],
  ["hostPolicy.metadataAccess", "yes", /true or false/],
  ["endpoints", {}, /a list/],
  ["ingress", null, /an object/],
];

test("each refusal names the place and what was expected there", () => {
  for (const [path, value, reason] of REFUSALS) {
    assert.match(reasonFor(set(path, value)), reason, `${path} = ${JSON.stringify(value)}`);
  }
});

test("a service that is listed twice counts once", () => {
  const reason = reasonFor((draft) => {
    draft["services"] = [GOOD.services[0], GOOD.services[0]];
  });
  assert.match(
    reason,
    /^left out model\.services\[1\]: default\/main\/shop\/web is listed already$/,
  );
});

test("what one stack got wrong leaves the others' items untouched", () => {
  const draft = structuredClone(GOOD);
  const broken = { ...draft.ingress.httpRoutes[0], id: "r9", pathPrefix: "no slash" };
  const httpRoutes = [broken, ...draft.ingress.httpRoutes];
  const result = parseModel({ ...draft, ingress: { ...draft.ingress, httpRoutes } });
  assert.ok(result.ok);
  assert.deepEqual(result.model, GOOD);
  assert.deepEqual(
    result.dropped.map((item) => item.path),
    ["model.ingress.httpRoutes[0]"],
  );
});

test("any JSON is accepted or refused, never a failure", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(GOOD)), (value, key) => {
      assert.ok(typeof parseModel(value).ok === "boolean");
      assert.ok(typeof parseModel({ ...GOOD, [key]: value }).ok === "boolean");
    }),
    { numRuns: 500, seed: 1 },
  );
});

test("generations grow, with the clock ahead, behind or standing still", () => {
  const first = nextGeneration(0, Date.UTC(2026, 0, 1));
  assert.ok(nextGeneration(first, Date.UTC(2026, 0, 1)) > first);
  assert.ok(nextGeneration(first, Date.UTC(2025, 0, 1)) > first);
  assert.ok(Number.isSafeInteger(nextGeneration(first, Date.UTC(2200, 0, 1))));
});
