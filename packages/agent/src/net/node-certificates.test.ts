/** Certificates on their way from the server to the data plane: content once, acknowledged, kept sealed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeCertificates } from "@berth/protocol";
import { AgentBox } from "../agent-box.ts";

/** No real keys: nobody on this way looks inside. */
const PEM = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

function answer(version: string, more: Partial<NodeCertificates> = {}): NodeCertificates {
  const certificate = { id: "c1", version, hosts: ["shop.test"], pem: `${version}\n${PEM}` };
  return { certificates: [certificate], ...more };
}

/** What the data plane was told last. */
function served(box: AgentBox) {
  return (box.net.model?.certificates ?? []).map(({ pem }) => pem.split("\n")[0]);
}

/** The server says that a certificate is another one. */
function announce(box: AgentBox, told: NodeCertificates): void {
  box.server.certificates = told;
  box.server.announceCertificate();
}

test("a certificate reaches the data plane, and the server hears when it is served", async () => {
  const box = new AgentBox(1);
  box.server.certificates = answer("v1", { acmeThumbprint: "thumb" });
  await box.start();
  assert.ok(await box.until(() => box.server.serving !== undefined));
  assert.deepEqual(box.server.serving, { versions: { c1: "v1" }, thumbprint: "thumb" });
  assert.deepEqual(served(box), ["v1"]);
  assert.equal(box.net.model?.acmeThumbprint, "thumb");
  assert.deepEqual(box.net.model?.certificates?.[0]?.hosts, ["shop.test"]);
});

test("a renewal is followed at once; what is the same is not sent again", async () => {
  const box = new AgentBox(2);
  box.server.certificates = answer("v1");
  await box.start();
  assert.ok(await box.until(() => box.server.serving?.versions["c1"] === "v1"));
  const before = box.net.models.length;
  announce(box, answer("v1"));
  await box.pass(1_000);
  assert.equal(box.net.models.length, before, "nothing new, no new model");
  announce(box, answer("v2"));
  assert.ok(await box.until(() => box.server.serving?.versions["c1"] === "v2", 2_000));
  assert.deepEqual(served(box), ["v2"]);
});

test("without the server, after a restart, what was there is served; on disk it is sealed", async () => {
  const box = new AgentBox(3);
  box.server.certificates = answer("v1");
  await box.start();
  assert.ok(await box.until(() => box.server.serving !== undefined));
  const rows = JSON.stringify([...box.db.read("certificate")]);
  assert.ok(!rows.includes("PRIVATE") && !rows.includes("c2VjcmV0"), rows);
  box.kill();
  box.server.goDown();
  box.net.models.length = 0;
  await box.start();
  assert.ok(await box.until(() => box.net.model !== undefined));
  assert.deepEqual(served(box), ["v1"]);
});

test("what no route needs any more is forgotten, on disk as well", async () => {
  const box = new AgentBox(4);
  box.server.certificates = answer("v1");
  await box.start();
  assert.ok(await box.until(() => box.server.serving !== undefined));
  announce(box, { certificates: [] });
  assert.ok(await box.until(() => served(box).length === 0, 2_000));
  assert.equal(box.db.read("certificate").size, 0);
});

test("a server that was started anew is told again what is served", async () => {
  const box = new AgentBox(5);
  box.server.certificates = answer("v1");
  await box.start();
  assert.ok(await box.until(() => box.server.serving !== undefined));
  box.server.serving = undefined;
  box.server.breakStreams();
  assert.ok(await box.until(() => box.server.serving?.versions["c1"] === "v1"));
});
