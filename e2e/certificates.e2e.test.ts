/**
 * HTTPS for routes, the whole way with real parts: command line, server, agent, net, HAProxy, openssl and
 * curl, and Pebble as ACME server that asks HAProxy for its challenges.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { CertificateView } from "@berth/protocol";
import { type AcmeLab, startAcmeLab } from "../packages/control-plane/e2e/acme-lab.ts";
import { issueLeaf, makeAuthority } from "../packages/control-plane/src/certificates/x509.ts";
import { killAll, pidsOf } from "./platform-processes.ts";
import { eventually, TestPlatform } from "./test-platform.ts";
import { curl, servedCertificate, tlsLoad } from "./tls-clients.ts";

let platform: TestPlatform;
let lab: AcmeLab;

before(async () => {
  platform = await TestPlatform.prepare();
  // Libraries that are loaded late are in chunks of their own there, which sources alone would not show.
  platform.useBundle();
  await platform.startPlatform();
  lab = await startAcmeLab({ httpPort: platform.httpPort });
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(async () => {
  await platform.uninstall();
  await lab.close();
});

/** A web server that answers its name, with a TLS route for each host. */
function web(...hosts: readonly string[]): string {
  const routes = hosts.map((host) => `        - {host: "${host}", port: 8080, tls: true}`);
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir -p /www && echo hello > /www/index.html && exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    deploy: { replicas: 2 }
    x-berth:
      min_healthy: 200ms
      drain: 1s
      routes:
${routes.join("\n")}
`;
}

async function deployed(name: string, ...hosts: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await platform.deploy(name, web(...hosts));
  assert.equal(code, 0, stdout + stderr);
}

function file(name: string, text: string): string {
  const path = join(platform.folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function view(name: string, ...words: string[]): Promise<CertificateView> {
  const [found] = await platform.json<CertificateView>("certificate", "show", name, ...words);
  assert.ok(found);
  return found;
}

/** Until `host` is served with the certificate that the server says is the newest of `name`. */
async function followed(name: string, host: string): Promise<CertificateView> {
  let found = await view(name);
  await eventually(`${host} is served with ${name}`, async () => {
    found = await view(name);
    const served = await servedCertificate(platform.httpsPort, host);
    return served.fingerprint256 === found.certificate.current?.fingerprint;
  });
  return found;
}

function caFile(): Promise<string> {
  return platform.must("ca", "export").then((text) => file("berth-ca.pem", text));
}

function setAcme(challenge: "http-01" | "dns-01", ...more: string[]): Promise<string> {
  const bundle = file("acme-ca.pem", lab.caBundle);
  const words = ["--directory", lab.directory, "--ca-bundle", bundle, "--email", "ops@example.com"];
  const hook =
    challenge === "dns-01"
      ? [...lab.hook.flatMap((word) => ["--hook", word]), "--dns-server", lab.dnsServer]
      : [];
  return platform.must("acme", "set", ...words, "--challenge", challenge, ...hook, ...more);
}

test("a route with TLS is served at once by the cluster's own authority, which clients can trust", async () => {
  await deployed("ca", "ca.localhost");
  await followed("ca.localhost", "ca.localhost");
  const ca = await caFile();
  const { code, text } = await curl(platform.httpsPort, "ca.localhost", ca);
  assert.equal(code, 0, text);
  assert.equal(text.trim(), "hello");
  const plain = await platform.ingress("ca.localhost");
  assert.equal(plain.status, 200, "HTTP is served as before");
  const stranger = await curl(platform.httpsPort, "ca.localhost", file("none.pem", lab.caBundle));
  assert.equal(stranger.code, 60, "and nobody else's authority vouches for it");
});

test("clients that name no host of ours get a certificate for nobody", async () => {
  for (const host of [undefined, "unknown.test"]) {
    const served = await servedCertificate(platform.httpsPort, host);
    assert.equal(served.subjectAltName, "DNS:default.invalid");
  }
});

test("a certificate that was handed in is served for its hosts alone, and goes with its removal", async () => {
  await deployed("own", "own.test", "a.own.test", "other.localhost");
  const authority = await makeAuthority({ cluster: "corp0001", now: Date.now() });
  const make = (hosts: string[]) => issueLeaf({ authority, hosts, now: Date.now() });
  const exact = await make(["own.test"]);
  const wild = await make(["*.own.test"]);
  const add = (name: string, made: { certificate: string; key: string }) =>
    platform.must(
      ...["certificate", "add", name, "--cert", file(`${name}.pem`, made.certificate)],
      ...["--key", file(`${name}.key`, made.key)],
    );
  await add("own.test", exact);
  await add("wild", wild);
  const { usedBy } = await followed("own.test", "own.test");
  assert.deepEqual(usedBy, ["default/main/own/web own.test/"]);
  await followed("wild", "a.own.test");
  const corp = file("corp.pem", authority.certificate);
  assert.equal((await curl(platform.httpsPort, "own.test", corp)).text.trim(), "hello");
  assert.equal((await curl(platform.httpsPort, "a.own.test", corp)).text.trim(), "hello");
  // The cluster's default names the host, too: the route's own comes first all the same.
  const wide = await make(["front.test", "own.test"]);
  const words = ["--cert", file("wide.pem", wide.certificate), "--key", file("wide.key", wide.key)];
  await platform.must("certificate", "add", "default", "--cluster-wide", ...words);
  await eventually("the default is shown to strangers", async () => {
    const served = await servedCertificate(platform.httpsPort, "stranger.test");
    return served.subjectAltName === "DNS:front.test, DNS:own.test";
  });
  const still = await servedCertificate(platform.httpsPort, "own.test");
  assert.equal(still.subjectAltName, "DNS:own.test");
  await platform.must("certificate", "rm", "default", "--cluster-wide", "--yes");
  const other = await servedCertificate(platform.httpsPort, "other.localhost");
  assert.equal(other.subjectAltName, "DNS:other.localhost");
  const removal = await platform.berth("certificate", "rm", "own.test", "--yes");
  assert.equal(removal.code, 0);
  assert.match(removal.stderr, /these routes lose it:\n {2}default\/main\/own\/web own\.test\//);
  await eventually("the automatic one takes its place", async () => {
    const served = await servedCertificate(platform.httpsPort, "own.test");
    return served.issuer.includes("Berth cluster");
  });
});

test("what cannot be served is refused with what is wrong", async () => {
  const authority = await makeAuthority({ cluster: "corp0002", now: Date.now() });
  const [first, second] = [
    await issueLeaf({ authority, hosts: ["x.test"], now: Date.now() }),
    await issueLeaf({ authority, hosts: ["x.test"], now: Date.now() }),
  ];
  const old = await issueLeaf({ authority, hosts: ["x.test"], now: Date.UTC(2020, 0, 1) });
  const cases: readonly (readonly [string, string, RegExp])[] = [
    [first.certificate, second.key, /the key does not belong to the certificate of x\.test/],
    [old.certificate, old.key, /the certificate expired at 2020-03-31/],
    ["garbage", "garbage", /holds no certificate in PEM form[\s\S]*holds no private key/],
    [authority.certificate + first.certificate, first.key, /the chain is in the wrong order/],
  ];
  for (const [certificate, key, pattern] of cases) {
    const words = ["--cert", file("bad.pem", certificate), "--key", file("bad.key", key)];
    const { code, stderr } = await platform.berth("certificate", "add", "bad", ...words);
    assert.equal(code, 1, stderr);
    assert.match(stderr, pattern);
  }
  const { code } = await platform.berth("certificate", "show", "bad");
  assert.equal(code, 1, "nothing was taken");
});

test("ACME by HTTP-01: HAProxy answers, the route is served with what was ordered", async () => {
  await setAcme("http-01");
  await deployed("acme", "acme.test");
  await eventually("it is issued", async () => {
    const { certificate } = await view("acme.test");
    return certificate.current?.source === "acme";
  });
  const { certificate, nodes } = await followed("acme.test", "acme.test");
  assert.equal(certificate.state, "valid");
  await eventually("the node says so", async () => (await view("acme.test")).nodes.length === 1);
  assert.ok(nodes.length <= 1);
  const root = file("pebble-root.pem", await lab.root());
  const { code, text } = await curl(platform.httpsPort, "acme.test", root);
  assert.equal(code, 0, text);
  const page = await platform.must("certificate", "show", "acme.test");
  assert.match(page, /validation +the ACME server says: acme\.test is proved/);
});

test("ACME by DNS-01: a wildcard, through a hook and a DNS server; its record is gone afterwards", async () => {
  await setAcme("dns-01", "--only", "*.wild.test");
  await deployed("wild", "*.wild.test");
  await eventually("it is issued", async () => {
    const { certificate } = await view("*.wild.test");
    const isClean = certificate.order?.authorizations.every(({ cleanedAt }) => cleanedAt);
    return certificate.current?.source === "acme" && isClean === true;
  });
  await followed("*.wild.test", "x.wild.test");
  const root = file("pebble-root.pem", await lab.root());
  assert.equal((await curl(platform.httpsPort, "x.wild.test", root)).code, 0);
  const runs = await lab.hookRuns();
  assert.ok(runs.includes("cleanup _acme-challenge.wild.test"), runs.join(", "));
});

test("an order that fails is told step by step, and the route is served all the same", async () => {
  await setAcme("dns-01", "--only", "*.bad.test", "--propagation-timeout", "1s");
  const words = ["--directory", lab.directory, "--ca-bundle", file("acme-ca.pem", lab.caBundle)];
  const { code } = await platform.berth(
    ...["acme", "set", ...words, "--challenge", "dns-01", "--only", "*.bad.test"],
    ...["--hook", "/bin/false", "--dns-server", lab.dnsServer],
  );
  assert.equal(code, 0);
  await deployed("bad", "a.bad.test");
  await eventually("it has failed", async () => {
    const { certificate } = await view("a.bad.test");
    return certificate.failuresInRow > 0;
  });
  const page = await platform.must("certificate", "show", "a.bad.test");
  assert.match(page, /^a\.bad\.test: failing$/m);
  assert.match(
    page,
    /failed at present of a\.bad\.test: the hook \/bin\/false present ended with code 1/,
  );
  assert.match(page, /✗ .* present +a\.bad\.test +the hook \/bin\/false/);
  assert.match(page, /next try +2\d{3}-/);
  const explained = await platform.must("explain", "bad/web");
  assert.match(explained, /certificate of a\.bad\.test: failed at present/);
  const { stdout } = await platform.berth("platform", "doctor");
  assert.match(stdout, /a\.bad\.test cannot be had: the hook \/bin\/false/);
  const events = await platform.must("events");
  assert.match(events, /certificate a\.bad\.test: present failed/);
  await followed("a.bad.test", "a.bad.test");
  const ca = await caFile();
  assert.equal((await curl(platform.httpsPort, "a.bad.test", ca)).text.trim(), "hello");
});

/** Reloads of HAProxy so far, as net counts them. */
function reloads(): number {
  const socket = join(platform.dataDir, "net", "net.sock");
  const words = ["-sS", "--unix-socket", socket, "http://net/metrics"];
  const text = execFileSync("curl", words).toString();
  const found = /^berth_net_ingress_reloads_total (\d+)$/m.exec(text)?.[1];
  assert.ok(found !== undefined, text);
  return Number(found);
}

test("renewals under load: every request answered, no reload, new connections see the new one", async () => {
  const ca = readFileSync(await caFile(), "utf8");
  const before = reloads();
  const load = tlsLoad({ port: platform.httpsPort, host: "ca.localhost", ca, clients: 6 });
  const seen = new Set<string>();
  const servedAfterMs: number[] = [];
  for (let renewal = 0; renewal < 10; renewal++) {
    const words = ["certificate", "renew", "ca.localhost"];
    const [renewed] = await platform.json<CertificateView>(...words);
    const fingerprint = renewed?.certificate.current?.fingerprint ?? "";
    seen.add(fingerprint);
    const start = performance.now();
    await eventually("the new one is served", async () => {
      const served = await servedCertificate(platform.httpsPort, "ca.localhost");
      return served.fingerprint256 === fingerprint;
    });
    servedAfterMs.push(Math.round(performance.now() - start));
  }
  const { answered, failures } = await load.stop();
  const times = servedAfterMs.sort((a, b) => a - b).join(" ");
  console.log(`answered ${answered}, failed ${failures.length}; served after ${times} ms`);
  assert.deepEqual(failures, []);
  assert.equal(seen.size, 10);
  assert.ok(answered > 200, `only ${answered} requests`);
  assert.equal(reloads(), before);
});

test("without the server, and after net and HAProxy were killed, HTTPS is served on", async () => {
  const ca = await caFile();
  const supervisor = await killAll(platform.dataDir, "supervise");
  assert.equal(supervisor.length, 1);
  await killAll(platform.dataDir, "server");
  await killAll(platform.dataDir, "net", "haproxy");
  await eventually("HTTPS answers", async () => {
    return (await curl(platform.httpsPort, "ca.localhost", ca)).code === 0;
  });
  assert.equal(pidsOf(platform.dataDir, "server").length, 0, "the server was away all the time");
  await platform.startPlatform();
});

test("no private key lies on a disk in clear", () => {
  const words = ["-rlE", "BEGIN (EC |RSA )?PRIVATE KEY", platform.dataDir];
  const found = (() => {
    try {
      return execFileSync("grep", words).toString();
    } catch {
      return "";
    }
  })();
  assert.equal(found, "");
});
