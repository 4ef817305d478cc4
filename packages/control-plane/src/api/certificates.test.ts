/** Certificates through the API: what is taken and refused, who gets keys, and who does not. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "@berth/base";
import { type AcmeInput, keys, ProtocolError } from "@berth/protocol";
import { testLeaf } from "../certificates/testing/certificates.ts";
import {
  AGENT_TOKEN,
  type ApiFixture,
  entriesOf,
  nodeRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  stackRow,
  startFixture,
  taskRow,
} from "./api-fixture.ts";

const ENV = { project: "default", environment: "main" };
const LEAF = await testLeaf(["shop.test"], { now: Date.now() });

/** A stack with a TLS route for `shop.test` whose task runs on `node-1`. */
async function withRoute(fixture: ApiFixture): Promise<void> {
  const routes = [{ host: "shop.test", path: "/", port: 80, tls: "both" as const }];
  const image = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
  const services = { web: { spec: serviceSpec({ routes }), image, template: "t1" } };
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.release(SCOPE, 1), releaseRow({ services }));
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  await fixture.put(keys.node("node-2"), nodeRow("node-2"));
  await fixture.put(keys.task(SCOPE, "task01"), taskRow("task01"));
}

async function setUp() {
  const fixture = await startFixture({ clock: systemClock });
  await withRoute(fixture);
  const admin = fixture.client();
  const agent = fixture.client({ token: AGENT_TOKEN });
  const add = (certificate: string, body: { certificate: string; key: string }) =>
    admin.call("putCertificate", { params: { ...ENV, certificate }, query: {}, body });
  return { fixture, admin, agent, add };
}

function refused(code: string, pattern: RegExp) {
  return (error: unknown) =>
    error instanceof ProtocolError && error.code === code && pattern.test(error.message);
}

describe("certificates that are handed in", () => {
  test("are taken, told with the routes that they serve, and replaced in place", async () => {
    const { admin, add } = await setUp();
    const first = await add("shop", LEAF);
    assert.deepEqual(first.usedBy, ["default/main/shop/web shop.test/"]);
    assert.equal(first.certificate.state, "valid");
    assert.equal(first.certificate.renewAt, undefined, "files are renewed by people");
    const next = await testLeaf(["shop.test"], { now: Date.now() });
    const second = await add("shop", next);
    assert.notEqual(second.certificate.current?.version, first.certificate.current?.version);
    const { items } = await admin.call("listCertificates", { params: ENV, query: {} });
    assert.equal(items.length, 1);
  });

  test("are refused with every reason, and nothing is changed", async () => {
    const { admin, add } = await setUp();
    const other = await testLeaf(["shop.test"]);
    await assert.rejects(
      add("shop", { certificate: LEAF.certificate, key: other.key }),
      refused("invalid_certificate", /^refused: the key does not belong/),
    );
    await assert.rejects(
      add("shop", { certificate: "x", key: "y" }),
      refused("invalid_certificate", /^refused for 2 reasons$/),
    );
    const { items } = await admin.call("listCertificates", { params: ENV, query: {} });
    assert.deepEqual(items, []);
  });

  test("their keys are sealed in the store and in no answer, watch, event or audit entry", async () => {
    const { fixture, admin, add } = await setUp();
    await add("shop", LEAF);
    const secret = LEAF.key.split("\n")[1] ?? "";
    const { entries } = await fixture.store.list("", { limit: 1_000 });
    assert.ok(entries.some(({ key }) => key.includes("/sealed/certificate/shop/")));
    for (const { key, value } of entries) assert.ok(!value.includes(secret), key);
    await fixture.api.flush();
    assert.ok(!JSON.stringify(await entriesOf(fixture.store, "audit")).includes(secret));
    const end = new AbortController();
    const body = { selectors: [{ kind: "certificate" as const }] };
    const stream = await admin.call("watch", { params: {}, body, signal: end.signal });
    for await (const event of stream) {
      assert.ok(!JSON.stringify(event).includes(secret));
      if (event.type === "synced") break;
    }
    end.abort();
  });

  test("of another form are no request: unknown fields and names with a slash", async () => {
    const { admin } = await setUp();
    const params = { ...ENV, certificate: "a/b" };
    await assert.rejects(
      admin.call("putCertificate", { params, query: {}, body: LEAF }),
      refused("invalid_request", /certificate/),
    );
  });
});

describe("what a node is given", () => {
  test("is what its routes need, content once, and nothing of others", async () => {
    const { fixture, agent, add } = await setUp();
    await add("shop", LEAF);
    await add("unused", await testLeaf(["unused.test"], { now: Date.now() }));
    const params = { node: "node-1" };
    const first = await agent.call("syncNodeCertificates", { params, body: { known: {} } });
    const [only] = first.certificates;
    assert.equal(first.certificates.length, 1);
    assert.deepEqual(only?.hosts, ["shop.test"]);
    assert.ok(only?.pem?.includes("BEGIN PRIVATE KEY"));
    const known = { [only?.id ?? ""]: only?.version ?? "" };
    const again = await agent.call("syncNodeCertificates", { params, body: { known } });
    assert.equal(again.certificates[0]?.pem, undefined);
    assert.equal(again.certificates[0]?.version, only?.version);
    const serving = { versions: known };
    await agent.call("syncNodeCertificates", { params, body: { known, serving } });
    const { nodes } = await fixture
      .client()
      .call("getCertificate", { params: { ...ENV, certificate: "shop" }, query: {} });
    assert.deepEqual(nodes, [{ node: "node-1", version: only?.version }]);
  });

  test("is its own agent's alone", async () => {
    const { agent, add } = await setUp();
    await add("shop", LEAF);
    const call = agent.call("syncNodeCertificates", {
      params: { node: "node-2" },
      body: { known: {} },
    });
    await assert.rejects(call, refused("forbidden", /./));
    const put = agent.call("putCertificate", {
      params: { ...ENV, certificate: "shop" },
      query: {},
      body: LEAF,
    });
    await assert.rejects(put, refused("forbidden", /./));
  });
});

describe("wishes", () => {
  test("for what cannot be ordered are refused at once, with what would help", async () => {
    const { admin } = await setUp();
    const issue = (hosts: string[], source: "acme" | "cluster-ca") =>
      admin.call("issueCertificate", {
        params: { ...ENV, certificate: "x" },
        query: {},
        body: { hosts, source },
      });
    await assert.rejects(
      issue(["a.test"], "acme"),
      refused("invalid_certificate", /^no ACME server is set/),
    );
    await assert.rejects(
      issue(["10.0.0.1"], "acme"),
      refused("invalid_certificate", /is an address/),
    );
    await assert.rejects(
      issue(["a b", "*"], "cluster-ca"),
      refused("invalid_certificate", /2 reasons/),
    );
    const view = await issue(["10.0.0.1", "Intra.Test"], "cluster-ca");
    assert.deepEqual(view.certificate.hosts, ["10.0.0.1", "intra.test"]);
    await assert.rejects(issue(["b.test"], "cluster-ca"), refused("already_exists", /x exists/));
  });

  test("a file is not renewed by the platform; removing one tells the routes that lose it", async () => {
    const { admin, add } = await setUp();
    await add("shop", LEAF);
    const params = { ...ENV, certificate: "shop" };
    await assert.rejects(
      admin.call("renewCertificate", { params, query: {} }),
      refused("invalid_certificate", /handed in as a file/),
    );
    const removed = await admin.call("removeCertificate", { params, query: {} });
    assert.deepEqual(removed.usedBy, ["default/main/shop/web shop.test/"]);
    await assert.rejects(
      admin.call("getCertificate", { params, query: {} }),
      refused("not_found", /./),
    );
  });
});

describe("ACME settings", () => {
  const settings: AcmeInput = {
    directory: "https://acme.test/dir",
    emails: ["ops@example.com"],
    challenge: "http-01",
    externalAccount: { keyId: "kid", key: "c2VjcmV0LWtleQ" },
  };

  test("keep secrets sealed; one account key serves every environment", async () => {
    const { fixture, admin } = await setUp();
    const own = await admin.call("setAcme", { params: ENV, query: {}, body: settings });
    const wide = await admin.call("setAcme", {
      params: ENV,
      query: { clusterWide: "true" },
      body: { ...settings, directory: "https://other.test/dir" },
    });
    assert.equal(own.thumbprint, wide.thumbprint);
    assert.equal(own.externalAccountKeyId, "kid");
    assert.ok(!JSON.stringify(own).includes("c2VjcmV0LWtleQ"));
    const { entries } = await fixture.store.list("", { limit: 1_000 });
    for (const { value } of entries) assert.ok(!value.includes("c2VjcmV0LWtleQ"));
    const found = await admin.call("getAcme", { params: ENV, query: {} });
    assert.equal(found.directory, "https://acme.test/dir");
    await admin.call("removeAcme", { params: ENV, query: {} });
    const next = await admin.call("getAcme", { params: ENV, query: {} });
    assert.equal(next.directory, "https://other.test/dir", "the cluster's is left");
  });

  test("that cannot work are refused", async () => {
    const { admin } = await setUp();
    const set = (changes: Partial<AcmeInput>) =>
      admin.call("setAcme", { params: ENV, query: {}, body: { ...settings, ...changes } });
    const cases: readonly (readonly [Partial<AcmeInput>, RegExp])[] = [
      [{ directory: "http://acme.test/dir" }, /directory/],
      [{ challenge: "dns-01" }, /needs a hook/],
      [{ challenge: "dns-01", hook: ["hook.sh"] }, /not an absolute path/],
      [{ dnsServers: ["ns1.test"] }, /is no address/],
      [{ dnsServers: ["10.0.0.53#99999"] }, /is no address/],
      [{ only: ["*"] }, /has a \*/],
      [{ caBundle: "hello" }, /no certificate in PEM form/],
    ];
    for (const [changes, pattern] of cases) {
      await assert.rejects(set(changes), refused("invalid_request", pattern));
    }
  });
});
