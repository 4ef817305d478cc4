/** Orders with a real ACME server (Pebble), through the real API of a real server process. */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { silentLogger, sleep, systemClock } from "@berth/base";
import type { CertificateView } from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import { runServer } from "../src/server/run-server.ts";
import { type AcmeLab, startAcmeLab } from "./acme-lab.ts";

const ENV = { project: "default", environment: "main" };
const DONE_MS = 60_000;

async function startServer(dataDir: string) {
  const server = await runServer({
    dataDir,
    listen: { host: "127.0.0.1", port: 0 },
    clock: systemClock,
    log: silentLogger,
    nodeName: "node-1",
    version: "0.1.0",
  });
  const token = readFileSync(join(dataDir, "admin.token"), "utf8").trim();
  const client = new HttpClient({ url: server.url, token });
  return { server, client };
}

async function until(
  client: HttpClient,
  certificate: string,
  done: (view: CertificateView) => boolean,
): Promise<CertificateView> {
  const end = performance.now() + DONE_MS;
  for (;;) {
    const view = await client.call("getCertificate", {
      params: { ...ENV, certificate },
      query: {},
    });
    if (done(view)) return view;
    assert.ok(performance.now() < end, JSON.stringify(view.certificate, undefined, 1));
    await sleep(systemClock, 100);
  }
}

const isIssued = ({ certificate }: CertificateView) => certificate.current?.source === "acme";
const hasFailed = ({ certificate }: CertificateView) => certificate.failuresInRow > 0;

function kinds({ certificate }: CertificateView): string[] {
  return (certificate.order?.steps ?? []).map(({ kind, outcome, host }) =>
    [kind, outcome, host].filter((word) => word !== undefined).join(" "),
  );
}

describe("an ACME server that wants an external account", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "berth-acme-eab-"));
  const externalAccount = {
    keyId: "kid-1",
    key: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
  };
  let lab: AcmeLab;
  let server: Awaited<ReturnType<typeof startServer>>;
  before(async () => {
    lab = await startAcmeLab({ externalAccount });
    server = await startServer(dataDir);
  });
  after(async () => {
    server.client.close();
    await server.server.stop();
    await lab.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  test("says so when there is none, and takes the one that it gave out", async () => {
    const { directory, caBundle } = lab;
    const settings = { directory, caBundle, emails: [], challenge: "http-01" } as const;
    const set = (more: object) =>
      server.client.call("setAcme", { params: ENV, query: {}, body: { ...settings, ...more } });
    const { thumbprint } = await set({});
    lab.answerWith(thumbprint);
    const params = { ...ENV, certificate: "bound" };
    const body = { hosts: ["bound.test"], source: "acme" } as const;
    await server.client.call("issueCertificate", { params, query: {}, body });
    const { certificate } = await until(server.client, "bound", hasFailed);
    assert.equal(certificate.lastError?.step, "account");
    assert.match(certificate.lastError?.message ?? "", /externalAccountRequired/);
    assert.match(certificate.lastError?.advice ?? "", /--eab-kid/);
    await set({ externalAccount });
    await until(server.client, "bound", isIssued);
  });
});

describe("with a server and Pebble", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "berth-acme-server-"));
  let lab: AcmeLab;
  let server: Awaited<ReturnType<typeof startServer>>;
  before(async () => {
    lab = await startAcmeLab();
    server = await startServer(dataDir);
  });
  after(async () => {
    server.client.close();
    await server.server.stop();
    await lab.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const set = async (challenge: "http-01" | "dns-01", more: object = {}) => {
    const { directory, caBundle } = lab;
    const hook = challenge === "dns-01" ? { hook: [...lab.hook], dnsServers: [lab.dnsServer] } : {};
    const body = { directory, caBundle, emails: ["ops@example.com"], challenge, ...hook, ...more };
    const settings = await server.client.call("setAcme", { params: ENV, query: {}, body });
    lab.answerWith(settings.thumbprint);
    return settings;
  };
  const issue = (certificate: string, hosts: string[]) =>
    server.client.call("issueCertificate", {
      params: { ...ENV, certificate },
      query: {},
      body: { hosts, source: "acme" },
    });

  test("nothing is ordered, and nobody contacted, until ACME is set", async () => {
    await assert.rejects(issue("early", ["early.test"]), {
      code: "invalid_certificate",
      message: "no ACME server is set for this environment",
    });
    await assert.rejects(server.client.call("getAcme", { params: ENV, query: {} }), {
      code: "not_found",
    });
  });

  test("HTTP-01: ordered, proved, issued, every step told", async () => {
    await set("http-01");
    await issue("shop", ["shop.test", "www.shop.test"]);
    const view = await until(server.client, "shop", isIssued);
    const { current } = view.certificate;
    assert.deepEqual([...(current?.hosts ?? [])].sort(), ["shop.test", "www.shop.test"]);
    assert.equal(view.certificate.state, "valid");
    assert.deepEqual(
      kinds(view)
        .filter((kind) => !kind.includes("waiting"))
        .sort(),
      [
        "account done",
        "authorization done shop.test",
        "authorization done www.shop.test",
        "challenge done shop.test",
        "challenge done www.shop.test",
        "download done",
        "finalize done",
        "ingress done shop.test",
        "ingress done www.shop.test",
        "order done",
        "validation done shop.test",
        "validation done www.shop.test",
      ],
    );
    assert.ok(lab.asked.some((line) => line.startsWith("shop.test/.well-known/")));
  });

  test("DNS-01 through the hook, with a wildcard; its records are gone afterwards", async () => {
    await set("dns-01");
    await issue("wild", ["example.test", "*.example.test"]);
    const view = await until(
      server.client,
      "wild",
      (each) =>
        isIssued(each) && kinds(each).filter((kind) => kind.startsWith("cleanup")).length === 2,
    );
    assert.deepEqual([...(view.certificate.current?.hosts ?? [])].sort(), [
      "*.example.test",
      "example.test",
    ]);
    const runs = await lab.hookRuns();
    assert.deepEqual(runs.sort(), [
      "cleanup _acme-challenge.example.test",
      "cleanup _acme-challenge.example.test",
      "present _acme-challenge.example.test",
      "present _acme-challenge.example.test",
    ]);
  });

  test("a wildcard without DNS-01 is refused with what would help", async () => {
    await set("http-01");
    await assert.rejects(issue("wild2", ["*.other.test"]), {
      code: "invalid_certificate",
      message:
        "*.other.test is a wildcard: ACME servers want it proved by dns-01, but http-01 is set",
    });
  });

  test("a hook that fails is told with its own last words", async () => {
    await set("dns-01", { hook: ["/bin/sh", "-c", "echo no such zone >&2; exit 7"] });
    await issue("hookless", ["hookless.test"]);
    const { certificate } = await until(server.client, "hookless", hasFailed);
    assert.equal(certificate.lastError?.step, "present");
    assert.equal(
      certificate.lastError?.message,
      "the hook /bin/sh present ended with code 7: no such zone",
    );
  });

  test("a hook that hangs is ended, and that is told", async () => {
    await set("dns-01", { hook: ["/bin/sh", "-c", "exec sleep 60"], hookTimeoutMs: 1_000 });
    await issue("hanging", ["hanging.test"]);
    const { certificate } = await until(server.client, "hanging", hasFailed);
    assert.equal(
      certificate.lastError?.message,
      "the hook /bin/sh present did not end within 1000 ms",
    );
  });

  test("a record that nobody sees is told with each server's answer", async () => {
    const more = { hook: ["/bin/true"], propagationTimeoutMs: 2_000 };
    await set("dns-01", more);
    await issue("unseen", ["unseen.test"]);
    const { certificate } = await until(server.client, "unseen", hasFailed);
    assert.equal(certificate.lastError?.step, "propagation");
    assert.match(
      certificate.lastError?.message ?? "",
      /^_acme-challenge\.unseen\.test cannot be seen after 2 s: 127\.0\.0\.1#\d+ has no such record$/,
    );
    const cleaned = await until(server.client, "unseen", ({ certificate: { order } }) =>
      (order?.authorizations ?? []).every(({ cleanedAt }) => cleanedAt !== undefined),
    );
    assert.equal(cleaned.certificate.order?.state, "failed");
  });

  test("a proof that fails is told with host, challenge and the server's words; then it waits", async () => {
    await set("http-01");
    lab.answerWith(undefined);
    await issue("broken", ["broken.test"]);
    const { certificate } = await until(server.client, "broken", hasFailed);
    assert.equal(certificate.lastError?.step, "validation");
    assert.equal(certificate.lastError?.host, "broken.test");
    assert.match(
      certificate.lastError?.message ?? "",
      /^broken\.test was not proved by http-01: the ACME server says unauthorized: /,
    );
    assert.match(certificate.lastError?.advice ?? "", /port 80/);
    assert.ok((certificate.nextAttemptAt ?? 0) > Date.now() + 60_000, "not at once");
    // Meanwhile the route would not be without: the cluster's own stands in.
    assert.equal(certificate.current?.source, "cluster-ca");
    const settings = await set("http-01");
    assert.ok(settings.setAt > 0);
    await until(server.client, "broken", isIssued);
  });

  test("a renewal gets another certificate under the same name", async () => {
    await set("http-01");
    await issue("again", ["again.test"]);
    const first = await until(server.client, "again", isIssued);
    const params = { ...ENV, certificate: "again" };
    await server.client.call("renewCertificate", { params, query: {} });
    const second = await until(
      server.client,
      "again",
      ({ certificate }) =>
        certificate.current?.fingerprint !== first.certificate.current?.fingerprint,
    );
    assert.equal(second.certificate.failuresInRow, 0);
    assert.equal(second.certificate.renewRequestedAt, undefined);
  });

  test("an ACME server that is away is tried again, and the order goes on", async () => {
    await set("http-01");
    await lab.stopAcme();
    await issue("patient", ["patient.test"]);
    const waiting = await until(
      server.client,
      "patient",
      ({ certificate }) => certificate.lastError !== undefined,
    );
    assert.match(waiting.certificate.lastError?.message ?? "", /did not answer: .*ECONNREFUSED/);
    assert.equal(waiting.certificate.failuresInRow, 0, "it is no failure of the order");
    await lab.startAcme();
    const params = { ...ENV, certificate: "patient" };
    await server.client.call("renewCertificate", { params, query: {} });
    await until(server.client, "patient", isIssued);
  });

  test("another ACME server, set while an order is under way, is asked at once", async () => {
    const nowhere = { directory: "https://127.0.0.1:1/dir" };
    await set("http-01", nowhere);
    await issue("moved", ["moved.test"]);
    await until(server.client, "moved", ({ certificate }) => certificate.lastError !== undefined);
    await set("http-01");
    const { certificate } = await until(server.client, "moved", isIssued);
    assert.equal(certificate.failuresInRow, 0);
  });

  test("what is issued is trusted by whoever trusts the issuer, and keys are never answered", async () => {
    const list = await server.client.call("listCertificates", { params: ENV, query: {} });
    const text = JSON.stringify(list);
    assert.ok(!text.includes("PRIVATE KEY"));
    const root = new X509Certificate(await lab.root());
    assert.ok(root.ca);
    const authority = await server.client.call("getAuthority", { params: {} });
    assert.ok(new X509Certificate(authority.certificate).ca);
  });
});
