/**
 * A server that is killed at every boundary of an order, with a real ACME server (Pebble) on the other side: the
 * next life ends the same order. Boundaries are all effects: requests to the ACME server, runs of the hook,
 * transactions. Death comes just after an effect, before anybody has heard of its outcome; death just before one
 * is death just after the one before it.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Driver, Prng, silentLogger, sleep, systemClock } from "@berth/base";
import { type Certificate, keys } from "@berth/protocol";
import { SecretBox } from "../src/api/secret-box.ts";
import { type Hook, programHook } from "../src/certificates/acme/hook.ts";
import { type AcmeTransport, httpsTransport } from "../src/certificates/acme/transport.ts";
import { authoritativeTxtRecords } from "../src/certificates/acme/txt-records.ts";
import { ensureAccountKey } from "../src/certificates/acme-accounts.ts";
import { Vault } from "../src/certificates/vault.ts";
import { ControlPlane } from "../src/control-plane.ts";
import { DEFAULT_SETTINGS } from "../src/settings.ts";
import { MemoryStore } from "../src/store/memory.ts";
import type { Store } from "../src/store/port.ts";
import { type AcmeLab, startAcmeLab } from "./acme-lab.ts";

const ENV = { project: "default", environment: "main" };
const KEY = keys.certificate(ENV, "shop");
const DONE_MS = 60_000;

/** `POST order-plz 1`: an effect and which of its kind in one life. */
type Place = string;

/** Lets effects pass until one is the last. */
class Executioner {
  readonly #last: Place | undefined;
  readonly #counts = new Map<string, number>();
  readonly seen: Place[] = [];
  isDead = false;

  /** Without `last`, nobody dies. */
  constructor(last?: Place) {
    this.#last = last;
  }

  async effect<T>(kind: string, run: () => Promise<T>): Promise<T> {
    if (this.isDead) return hanging();
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const place = `${kind} ${count}`;
    this.seen.push(place);
    const outcome = await run();
    if (place !== this.#last) return outcome;
    this.isDead = true;
    return hanging();
  }
}

/** What a dead process does. */
function hanging(): Promise<never> {
  return new Promise(() => {});
}

interface World {
  readonly store: MemoryStore;
  readonly box: SecretBox;
  /** Requests to `newOrder`. */
  orders: number;
}

async function newWorld(lab: AcmeLab, challenge: "http-01" | "dns-01"): Promise<World> {
  const store = new MemoryStore({ clock: systemClock });
  const box = new SecretBox(new Uint8Array(32).fill(7));
  const thumbprint = await ensureAccountKey(store, new Vault({ box, store }));
  lab.answerWith(thumbprint);
  const put = (key: string, value: object) =>
    store.txn({ compare: [], then: [{ kind: "put", key, value: JSON.stringify(value) }] });
  const { directory, caBundle } = lab;
  const hook = challenge === "dns-01" ? { hook: lab.hook, dnsServers: [lab.dnsServer] } : {};
  await put(keys.acme(ENV), {
    ...ENV,
    directory,
    caBundle,
    emails: [],
    challenge,
    ...hook,
    thumbprint,
    setAt: Date.now(),
  });
  await put(KEY, {
    ...ENV,
    name: "shop",
    hosts: ["shop.test"],
    source: "acme",
    automatic: false,
    createdAt: 0,
    state: "pending",
    failuresInRow: 0,
  });
  return { store, box, orders: 0 };
}

/** One life of the controllers over the world. */
async function live(world: World, executioner: Executioner): Promise<ControlPlane> {
  const { store: real, box } = world;
  const https = httpsTransport({ clock: systemClock, userAgent: "berth/test" });
  const transport: AcmeTransport = (request) =>
    executioner.effect(`${request.method} ${new URL(request.url).pathname.split("/")[1]}`, () => {
      if (request.url.endsWith("/order-plz")) world.orders++;
      return https(request);
    });
  const hook: Hook = (run) => executioner.effect(`hook ${run.call.action}`, () => programHook(run));
  const isOurs = (words: string) => words.includes(KEY);
  const store: Store = new Proxy(real, {
    get(target, name) {
      if (name === "txn") {
        return (txn: Parameters<Store["txn"]>[0]) => {
          if (!isOurs(JSON.stringify(txn))) return target.txn(txn);
          return executioner.effect("txn", () => target.txn(txn));
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const prng = new Prng(1);
  const driver = new Driver({ clock: systemClock, log: silentLogger, prng });
  const control = new ControlPlane({
    store,
    clock: systemClock,
    log: silentLogger,
    prng: new Prng(Math.trunc(Date.now())),
    driver,
    settings: DEFAULT_SETTINGS,
    certificates: { box, transport, hook, txtRecords: authoritativeTxtRecords },
  });
  await control.start();
  return control;
}

async function issued(
  control: ControlPlane,
  isOver: () => boolean,
): Promise<Certificate | undefined> {
  const end = performance.now() + DONE_MS;
  for (;;) {
    const certificate = control.state.view.certificates.get(KEY)?.value;
    const order = certificate?.order;
    const isClean = order?.authorizations.every(
      ({ presentedAt, cleanedAt }) => (presentedAt === undefined) === (cleanedAt === undefined),
    );
    if (order?.state === "done" && isClean) return certificate;
    assert.notEqual(order?.state, "failed", JSON.stringify(certificate?.lastError));
    if (isOver()) return undefined;
    assert.ok(performance.now() < end, JSON.stringify(certificate, undefined, 1));
    await sleep(systemClock, 20);
  }
}

/** A whole order without a death: every effect that there is. */
async function undisturbed(lab: AcmeLab, challenge: "http-01" | "dns-01"): Promise<Place[]> {
  const world = await newWorld(lab, challenge);
  const witness = new Executioner();
  const control = await live(world, witness);
  await issued(control, () => false);
  await control.stop();
  return witness.seen;
}

/** Dies after effect `last` and lives again; false when that order came to its end without this effect. */
async function dieAndLive(
  lab: AcmeLab,
  challenge: "http-01" | "dns-01",
  last: Place,
): Promise<boolean> {
  const world = await newWorld(lab, challenge);
  const executioner = new Executioner(last);
  const first = await live(world, executioner);
  const early = await issued(first, () => executioner.isDead);
  if (early !== undefined && !executioner.isDead) return false;
  const second = await live(world, new Executioner());
  const certificate = await issued(second, () => false);
  assert.equal(certificate?.current?.source, "acme", last);
  assert.equal(world.orders, 1, `one order, although it died after ${last}`);
  assert.equal(certificate?.failuresInRow, 0, last);
  await second.stop();
  return true;
}

for (const challenge of ["http-01", "dns-01"] as const) {
  describe(`an order by ${challenge}`, () => {
    let lab: AcmeLab;
    before(async () => {
      // A nonce refused by chance would be another effect in each run.
      lab = await startAcmeLab({ environment: { PEBBLE_WFE_NONCEREJECT: "0" } });
    });
    after(() => lab.close());

    test("is ended by the next life, once, whichever effect the server dies after", async () => {
      const all = await undisturbed(lab, challenge);
      // How often a server is asked whether it is done differs from run to run: the first of each kind of
      // request is enough, since the record is the same. Every transaction is another place.
      const places = all.filter((place) => place.endsWith(" 1") || place.startsWith("txn "));
      const missed: Place[] = [];
      for (const place of places) {
        if (!(await dieAndLive(lab, challenge, place))) missed.push(place);
      }
      assert.deepEqual(
        missed.filter((place) => !place.startsWith("txn ")),
        [],
        "each kind of effect was the last one once",
      );
      for (const kind of ["POST order-plz", "POST finalize-order", "POST certZ", "POST chalZ"]) {
        assert.ok(places.includes(`${kind} 1`), `${kind} in ${places.join(", ")}`);
      }
      assert.equal(places.includes("hook present 1"), challenge === "dns-01");
      assert.ok(places.length - missed.length >= 15, places.join(", "));
    });
  });
}
