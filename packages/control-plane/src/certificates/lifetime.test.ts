import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY_MS, HOUR_MS, MINUTE_MS, Prng } from "@berth/base";
import type { Certificate, CertificateFacts } from "@berth/protocol";
import fc from "fast-check";
import { attemptPauseMs, nextMoment, renewalTime, stateAt } from "./lifetime.ts";

const START = Date.UTC(2026, 0, 1);
const END = START + 90 * DAY_MS;

function facts(changes: Partial<CertificateFacts> = {}): CertificateFacts {
  return {
    version: "v1",
    source: "acme",
    subject: "",
    issuer: "CN=Test",
    serial: "01",
    fingerprint: "AB:CD",
    notBefore: START,
    notAfter: END,
    hosts: ["a.test"],
    key: "EC P-256",
    chainLength: 1,
    ...changes,
  };
}

function certificate(changes: Partial<Certificate> = {}): Certificate {
  return {
    project: "default",
    environment: "main",
    name: "a.test",
    hosts: ["a.test"],
    source: "acme",
    automatic: true,
    createdAt: START,
    current: facts(),
    state: "valid",
    failuresInRow: 0,
    ...changes,
  };
}

test("renewal is due a little before two thirds of the lifetime, the same for ever for one certificate", () => {
  const name = fc.string({ minLength: 1 });
  const length = fc.integer({ min: HOUR_MS, max: 400 * DAY_MS });
  fc.assert(
    fc.property(name, length, (fingerprint, lifetime) => {
      const span = { fingerprint, notBefore: START, notAfter: START + lifetime };
      const share = (renewalTime(span) - START) / lifetime;
      assert.ok(share > 0.61 && share <= 0.667, String(share));
      assert.equal(renewalTime(span), renewalTime(span));
    }),
    { seed: 1 },
  );
});

test("what is the case with a certificate, from its birth to after its end", () => {
  const at = (days: number) => stateAt(certificate(), START + days * DAY_MS);
  assert.deepEqual([0, 59, 74, 76, 89.9, 90].map(at), [
    "valid",
    "valid",
    "valid",
    "expiring",
    "expiring",
    "expired",
  ]);
  const { current: _none, ...none } = certificate();
  assert.equal(stateAt(none, START), "pending");
  assert.equal(stateAt({ ...none, failuresInRow: 1 }, START), "failing");
  assert.equal(stateAt(certificate({ failuresInRow: 1 }), START), "failing");
  const standIn = certificate({ current: facts({ source: "cluster-ca" }) });
  assert.equal(stateAt(standIn, START), "pending");
});

test("people are told of files at least two weeks before", () => {
  const short = { source: "file", notAfter: START + 30 * DAY_MS } as const;
  const file = certificate({ source: "file", current: facts(short) });
  assert.equal(stateAt(file, START + 15 * DAY_MS), "valid");
  assert.equal(stateAt(file, START + 17 * DAY_MS), "expiring");
});

test("pauses after failures grow to half a day, and follow the other side's wish", () => {
  const pause = (failures: number, wish?: number) =>
    attemptPauseMs(failures, new Prng(1), wish) / MINUTE_MS;
  assert.ok(pause(1) >= 3.5 && pause(1) <= 5, "soon at first");
  assert.ok(pause(3) > pause(2) && pause(2) > pause(1));
  assert.ok(pause(50) <= 12 * 60 && pause(50) >= 8 * 60);
  assert.equal(pause(1, DAY_MS), 24 * 60);
});

test("the next moment is the first of those that are still to come", () => {
  const renewAt = START + 60 * DAY_MS;
  const one = certificate({ renewAt });
  assert.equal(nextMoment(one, START), renewAt);
  assert.equal(nextMoment(one, renewAt), START + 75 * DAY_MS);
  assert.equal(nextMoment(one, START + 80 * DAY_MS), END);
  assert.equal(nextMoment(one, END), Number.POSITIVE_INFINITY);
});
