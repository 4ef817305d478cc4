/** The controller on a virtual clock: months pass in a second, and nobody outside is asked too often. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY_MS, Driver, HOUR_MS, ManualClock, Prng, silentLogger } from "@berth/base";
import { type Certificate, type Event, keys, ProtocolError } from "@berth/protocol";
import {
  entriesOf,
  nodeRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  settled,
  stackRow,
} from "../api/api-fixture.ts";
import { SecretBox } from "../api/secret-box.ts";
import { ControlPlane } from "../control-plane.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { MemoryStore } from "../store/memory.ts";
import type { AcmeTransport } from "./acme/transport.ts";
import { ensureAccountKey } from "./acme-accounts.ts";
import { readCertificate } from "./read-certificate.ts";
import { installed } from "./records.ts";
import { testLeaf } from "./testing/certificates.ts";
import { Vault } from "./vault.ts";

const ENV = { project: "default", environment: "main" };
const HOST = "shop.test";
/** A look at the world every so often is often enough: nothing here is due by the minute. */
const STEP_MS = 6 * HOUR_MS;

class Months {
  readonly clock = new ManualClock(Date.UTC(2026, 0, 1));
  readonly store = new MemoryStore({ clock: this.clock });
  readonly box = new SecretBox(new Uint8Array(32).fill(7));
  /** When the ACME server was asked. */
  readonly asked: number[] = [];
  readonly control: ControlPlane;
  readonly #driver: Driver;

  constructor() {
    const { clock, store, box } = this;
    const prng = new Prng(1);
    const driver = new Driver({ clock, log: silentLogger, prng: prng.fork() });
    this.#driver = driver;
    const transport: AcmeTransport = async () => {
      this.asked.push(clock.now());
      throw new ProtocolError("unavailable", "the ACME server at acme.test did not answer");
    };
    const hook = async () => "";
    const txtRecords = async () => [];
    this.control = new ControlPlane({
      store,
      clock,
      log: silentLogger,
      prng,
      driver,
      settings: { ...DEFAULT_SETTINGS, eventAgeMs: 1_000 * DAY_MS },
      certificates: { box, transport, hook, txtRecords },
    });
  }

  async start(): Promise<this> {
    const routes = [{ host: HOST, path: "/", port: 80, tls: "both" as const }];
    const image = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
    const services = { web: { spec: serviceSpec({ routes }), image, template: "t1" } };
    await this.put(keys.stack(SCOPE), stackRow());
    await this.put(keys.release(SCOPE, 1), releaseRow({ services }));
    await this.put(keys.node("node-1"), nodeRow("node-1"));
    await settled(this.clock, this.control.start());
    await this.turn();
    return this;
  }

  async put(key: string, value: object): Promise<void> {
    await this.store.txn({
      compare: [],
      then: [{ kind: "put", key, value: JSON.stringify(value) }],
    });
  }

  /** Lets everything happen that is due now; keys are made by other threads, which take real time. */
  async turn(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      this.clock.advance(100);
      let calm = 0;
      for (let count = 0; calm < 10; count++) {
        assert.ok(count < 1_000_000, "it comes to rest");
        await new Promise((resolve) => setImmediate(resolve));
        const isBusy = this.#driver
          .statuses()
          .some(({ name, state }) => name === "certificates" && state === "running");
        calm = isBusy ? 0 : calm + 1;
      }
    }
  }

  /** Time passes; `look` sees each step. */
  async pass(days: number, look: () => void = () => {}): Promise<void> {
    const end = this.clock.now() + days * DAY_MS;
    while (this.clock.now() < end) {
      this.clock.advance(STEP_MS);
      await this.turn();
      look();
    }
  }

  get(name = HOST): Certificate | undefined {
    return this.control.state.view.certificates.get(keys.certificate(ENV, name))?.value;
  }

  async eventReasons(): Promise<string[]> {
    const events = (await entriesOf(this.store, "event")) as Event[];
    return events.map(({ reason }) => reason);
  }
}

test("a route's certificate is there at once and renewed for a year, always in time; nobody is contacted", async () => {
  const months = await new Months().start();
  assert.equal(months.get()?.state, "valid");
  const versions = new Set<string>();
  await months.pass(365, () => {
    const { current, state } = months.get() ?? {};
    assert.ok(current !== undefined && current.notAfter > months.clock.now() + 20 * DAY_MS);
    assert.equal(state, "valid");
    versions.add(current.version);
  });
  // Two thirds of 90 days, less up to a twentieth: a new one every 55 to 60 days.
  assert.ok(versions.size >= 7 && versions.size <= 8, `${versions.size} versions`);
  assert.deepEqual(months.asked, []);
  const sealed = (await months.store.list("default/main/sealed/certificate/", { limit: 100 }))
    .entries;
  assert.equal(sealed.length, 1, "keys of old ones are gone");
});

test("an ACME server that is away is asked with growing pauses; the stand-in is renewed", async () => {
  const months = new Months();
  const thumbprint = await ensureAccountKey(
    months.store,
    new Vault({ box: months.box, store: months.store }),
  );
  await months.put(keys.acme(ENV), {
    ...ENV,
    directory: "https://acme.test/dir",
    emails: [],
    challenge: "http-01",
    thumbprint,
    setAt: 1,
  });
  await months.start();
  assert.equal(months.get()?.current?.source, "cluster-ca", "the route is served meanwhile");
  const step = 2 * 60_000;
  for (let passed = 0; passed < DAY_MS; passed += step) {
    months.clock.advance(step);
    await months.turn();
  }
  const start = months.asked[0] ?? 0;
  const inHour = (hour: number) =>
    months.asked.filter((at) => Math.floor((at - start) / HOUR_MS) === hour).length;
  assert.ok(inHour(0) >= 5 && inHour(0) <= 20, `${inHour(0)} in the first hour`);
  for (let hour = 1; hour < 24; hour++) assert.ok(inHour(hour) <= 20, `${inHour(hour)} in ${hour}`);
  assert.ok(months.asked.length <= 200, `${months.asked.length} in a day`);
  assert.match(months.get()?.lastError?.message ?? "", /did not answer/);
  await months.pass(120, () => {
    assert.ok((months.get()?.current?.notAfter ?? 0) > months.clock.now() + 20 * DAY_MS);
  });
  assert.ok((await months.eventReasons()).includes("certificate_failed"));
  await months.store.txn({ compare: [], then: [{ kind: "delete", key: keys.acme(ENV) }] });
  await months.pass(1);
  const before = months.asked.length;
  await months.pass(10);
  assert.equal(months.asked.length, before, "forgotten: not asked any more");
  assert.equal(months.get()?.source, "cluster-ca");
});

test("a file that grows old is told while there is time, and when there is none", async () => {
  const months = await new Months().start();
  const now = months.clock.now();
  const leaf = await testLeaf(["file.test"], { now, days: 60 });
  const read = readCertificate({ ...leaf, now });
  assert.equal(read.kind, "read");
  if (read.kind !== "read") return;
  const { certificate } = installed({
    certificate: {
      ...ENV,
      name: "file",
      hosts: ["file.test"],
      source: "file",
      automatic: false,
      createdAt: now,
      state: "valid",
      failuresInRow: 0,
    },
    facts: { ...read.facts, source: "file" },
    pem: read.pem,
    vault: new Vault({ box: months.box, store: months.store }),
  });
  await months.put(keys.certificate(ENV, "file"), certificate);
  const states: string[] = [];
  await months.pass(62, () => {
    const { state = "" } = months.get("file") ?? {};
    if (states.at(-1) !== state) states.push(state);
  });
  assert.deepEqual(states, ["valid", "expiring", "expired"]);
  const reasons = await months.eventReasons();
  assert.ok(reasons.includes("certificate_expiring") && reasons.includes("certificate_expired"));
});
