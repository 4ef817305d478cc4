/** Every order that is answered ends; what is decided depends on the record alone. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { HOUR_MS } from "@berth/base";
import type { AcmeAuthorization, AcmeOrder } from "@berth/protocol";
import fc from "fast-check";
import { isOpen, nextAction, type OrderAction } from "./order-decision.ts";
import { newOrder, withAuthorization, withStep, withWait } from "./order-record.ts";

const NOW = 1_000_000;
const DIRECTORY = "https://acme.test/dir";
const fresh = newOrder("o1", DIRECTORY, NOW);

function next(order: AcmeOrder, now = NOW, directory: string | undefined = DIRECTORY): OrderAction {
  return nextAction(order, now, directory);
}

function asked(authorizations: readonly AcmeAuthorization[]): AcmeOrder {
  return { ...fresh, state: "authorizing", url: "u", authorizations: [...authorizations] };
}

const READ = {
  url: "a",
  host: "a.test",
  status: "pending",
  challengeUrl: "c",
  token: "t",
} as const;

test("steps of a host by HTTP-01, and of one by DNS-01, in their order", () => {
  const http = { ...READ, challenge: "http-01" };
  const dns = { ...READ, challenge: "dns-01" };
  const rows: readonly (readonly [AcmeOrder, string])[] = [
    [fresh, "ask"],
    [asked([{ url: "a" }]), "authorization"],
    [asked([http]), "ingress"],
    [asked([{ ...http, visibleAt: 1 }]), "respond"],
    [asked([{ ...http, visibleAt: 1, respondedAt: 1 }]), "authorization"],
    [asked([dns]), "present"],
    [asked([{ ...dns, presentedAt: 1 }]), "propagation"],
    [asked([{ ...dns, presentedAt: 1, visibleAt: 1 }]), "respond"],
    [asked([{ ...dns, presentedAt: 1, visibleAt: 1, respondedAt: 1 }]), "authorization"],
    [asked([{ ...READ, status: "valid" }]), "finalize"],
    [{ ...fresh, state: "done" }, "nothing"],
    [{ ...asked([{ ...dns, presentedAt: 1 }]), state: "failed" }, "cleanup"],
    [{ ...asked([{ ...dns, presentedAt: 1, cleanedAt: 2 }]), state: "done" }, "nothing"],
  ];
  for (const [order, kind] of rows) assert.equal(next(order).kind, kind, JSON.stringify(order));
});

test("all hosts go through a phase before any goes into the next", () => {
  const dns = { ...READ, challenge: "dns-01" };
  const first = { ...dns, presentedAt: 1 };
  assert.deepEqual(next(asked([first, dns])), { kind: "present", index: 1 });
  assert.deepEqual(next(asked([first, first])), { kind: "propagation", index: 0 });
  assert.deepEqual(next(asked([first, { ...dns, status: "valid" }])), {
    kind: "propagation",
    index: 0,
  });
});

test("an order ends when it is not wanted any more, has expired, or takes for ever", () => {
  assert.equal(next(fresh, NOW, "https://other.test/dir").kind, "drop");
  assert.equal(nextAction(fresh, NOW, undefined).kind, "drop");
  assert.equal(next({ ...fresh, expiresAt: NOW }).kind, "fail");
  assert.equal(next(fresh, NOW + 4 * HOUR_MS).kind, "fail");
});

test("a wait is kept, and over when something else happened", () => {
  const step = { at: NOW, kind: "validation", outcome: "waiting", message: "…" } as const;
  const waiting = withWait(asked([READ]), step, NOW + 5);
  assert.deepEqual(next(waiting), { kind: "wait", until: NOW + 5 });
  assert.notEqual(next(waiting, NOW + 5).kind, "wait");
  const again = withWait(waiting, { ...step, at: NOW + 5 }, NOW + 9);
  assert.equal(again.steps.length, 1, "a wait that goes on is one step");
  const over = withStep(again, { ...step, outcome: "done" });
  assert.equal(over.waitUntil, undefined);
  assert.deepEqual(
    over.steps.map(({ outcome }) => outcome),
    ["done"],
    "what was waited for came",
  );
});

/** Carries out actions as a world would in which everything goes well. */
function carriedOut(order: AcmeOrder, action: OrderAction, dns: boolean): AcmeOrder {
  const challenge = dns ? "dns-01" : "http-01";
  switch (action.kind) {
    case "ask":
      return asked([{ url: "a" }, { url: "b" }]);
    case "authorization": {
      const known = order.authorizations[action.index];
      const status = known?.respondedAt === undefined ? "pending" : "valid";
      return withAuthorization(order, action.index, { ...READ, challenge, status });
    }
    case "present":
      return withAuthorization(order, action.index, { presentedAt: 1 });
    case "propagation":
    case "ingress":
      return withAuthorization(order, action.index, { visibleAt: 1 });
    case "respond":
      return withAuthorization(order, action.index, { respondedAt: 1 });
    case "finalize":
      return { ...order, state: "done" };
    case "cleanup":
      return withAuthorization(order, action.index, { cleanedAt: 1 });
    default:
      return order;
  }
}

test("whenever an order is broken off as failed, or goes on, it comes to rest with nothing left behind", () => {
  const plan = fc.record({ dns: fc.boolean(), failAt: fc.integer({ min: 0, max: 30 }) });
  fc.assert(
    fc.property(plan, ({ dns, failAt }) => {
      let order: AcmeOrder = { ...fresh };
      let steps = 0;
      for (; isOpen(order); steps++) {
        assert.ok(steps < 40, "it comes to rest");
        order = carriedOut(order, next(order), dns);
        if (steps === failAt && order.state !== "done") order = { ...order, state: "failed" };
      }
      for (const { presentedAt, cleanedAt } of order.authorizations) {
        assert.equal(presentedAt === undefined, cleanedAt === undefined);
      }
    }),
    { seed: 3 },
  );
});
