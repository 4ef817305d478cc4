/** Certificates for dialogues: a good one, one whose order fails, one of the cluster's, and the authority. */

import { DAY_MS } from "@berth/base";
import type { ApiFixture } from "@berth/control-plane/api/api-fixture";
import { type AcmeStep, type Authority, type Certificate, keys } from "@berth/protocol";

const ENV = { project: "default", environment: "main" };
const CLUSTER = { project: "-", environment: "-" };
/** The dialogues' day. */
const NOW = Date.UTC(2026, 0, 2, 3, 30);
const FINGERPRINT = Array.from({ length: 32 }, () => "AB").join(":");

function facts(source: Certificate["source"], hosts: readonly string[], issuer: string) {
  return {
    version: "v1",
    source,
    subject: "",
    issuer,
    serial: "0A1B",
    fingerprint: FINGERPRINT,
    notBefore: NOW - 30 * DAY_MS,
    notAfter: NOW + 60 * DAY_MS,
    hosts: [...hosts],
    key: "EC P-256",
    chainLength: 2,
  };
}

function row(name: string, changes: Partial<Certificate>): Certificate {
  return {
    ...ENV,
    name,
    hosts: [name],
    source: "acme",
    automatic: true,
    createdAt: NOW,
    state: "valid",
    failuresInRow: 0,
    ...changes,
  };
}

const HOST = "api.example.com";
const SAYS =
  "api.example.com was not proved by http-01: the ACME server says connection: Fetching http://api.example.com/.well-known/acme-challenge/x: Timeout";
const STEPS: readonly (readonly [AcmeStep["kind"], AcmeStep["outcome"], string, string?])[] = [
  ["account", "done", "account https://acme.example/acct/1"],
  ["order", "done", "the server took the order: api.example.com (https://acme.example/order/7)"],
  ["authorization", "done", "api.example.com is to be proved by http-01", HOST],
  ["ingress", "done", "every node in contact answers the challenge", HOST],
  ["challenge", "done", "the ACME server was told to look", HOST],
  ["validation", "failed", SAYS, HOST],
];

const FAILING = row(HOST, {
  current: facts("cluster-ca", [HOST], "CN=Berth cluster c0ffee00, O=Berth"),
  failuresInRow: 2,
  nextAttemptAt: NOW + 600_000,
  lastError: {
    at: NOW - 60_000,
    step: "validation",
    host: HOST,
    message: SAYS,
    advice: "the host's name must lead to an ingress node of this cluster",
  },
  order: {
    id: "order01",
    directory: "https://acme.example/directory",
    startedAt: NOW - 90_000,
    state: "failed",
    authorizations: [],
    retries: 0,
    steps: STEPS.map(([kind, outcome, message, host], index) => ({
      at: NOW - 90_000 + index * 5_000,
      kind,
      outcome,
      message,
      ...(host === undefined ? {} : { host }),
    })),
  },
});

export async function seedCertificates(fixture: ApiFixture): Promise<void> {
  const authority: Authority = {
    certificate: "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n",
    subject: "CN=Berth cluster c0ffee00, O=Berth",
    fingerprint: FINGERPRINT,
    notBefore: NOW,
    notAfter: NOW + 3_650 * DAY_MS,
    createdAt: NOW,
  };
  const issuer = "C=US, O=Example CA, CN=R3";
  const shop = ["shop.example.com", "www.example.com", "m.example.com"];
  const rows = [
    row("shop", {
      hosts: shop,
      automatic: false,
      current: facts("acme", shop, issuer),
      renewAt: NOW + 29 * DAY_MS,
    }),
    FAILING,
    row("default", {
      ...CLUSTER,
      source: "file",
      automatic: false,
      hosts: ["example.com"],
      current: { ...facts("file", ["example.com"], issuer), notAfter: NOW + 5 * DAY_MS },
    }),
  ];
  await fixture.put(keys.authority(), authority);
  for (const value of rows) await fixture.put(keys.certificate(value, value.name), value);
}
