import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import { Collection, type CollectionChange } from "./collection.ts";
import { MemoryStore } from "./memory.ts";
import { Mirror } from "./mirror.ts";
import type { Operation, Store } from "./port.ts";

interface Thing {
  readonly color: string;
}

function parseThing(json: unknown): Thing {
  if (typeof json !== "object" || json === null || !("color" in json)) {
    throw new TypeError("a thing has a color");
  }
  return { color: String(json.color) };
}

function setUp(
  context: TestContext,
  makeStore = (clock: ManualClock): Store => new MemoryStore({ clock }),
) {
  const clock = new ManualClock();
  const store = makeStore(clock);
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const mirror = new Mirror({ store, driver, log: silentLogger });
  const things = new Collection({
    mirror,
    log: silentLogger,
    prefix: "thing/",
    parse: parseThing,
    indices: { color: (thing: Thing) => [thing.color] },
  });
  const told: CollectionChange<Thing>[][] = [];
  things.onChange((changes) => told.push([...changes]));
  context.after(async () => {
    await store.close();
    await mirror.stop();
  });
  return { clock, store, driver, mirror, things, told };
}

function put(store: Store, ...colors: readonly (readonly [string, string])[]) {
  const then: Operation[] = colors.map(([key, color]) => {
    return { kind: "put", key, value: JSON.stringify({ color }) };
  });
  return store.txn({ compare: [], then });
}

/** Lets promises settle; moves time by what is due. */
async function settle(clock: ManualClock, turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    clock.advance(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function started(setup: ReturnType<typeof setUp>): Promise<void> {
  const ready = setup.things.start();
  await settle(setup.clock);
  await ready;
}

test("a collection shows what is listed and then what changes, indexed", async (context) => {
  const setup = setUp(context);
  const { clock, store, things, told } = setup;
  await put(store, ["thing/1", "red"], ["thing/2", "blue"], ["other/1", "red"]);
  await started(setup);
  assert.deepEqual(
    things.byIndex("color", "red").map((entry) => entry.key),
    ["thing/1"],
  );
  const { revision } = await put(store, ["thing/2", "red"]);
  await Promise.all([things.waitFor(revision), settle(clock)]);
  assert.deepEqual(
    things.byIndex("color", "red").map((entry) => entry.key),
    ["thing/1", "thing/2"],
  );
  assert.deepEqual(things.byIndex("color", "blue"), []);
  assert.equal(things.get("thing/2")?.modRevision, revision);
  assert.deepEqual(
    told.map((changes) => changes.map(({ type, key }) => `${type} ${key}`)),
    [["put thing/1", "put thing/2"], ["put thing/2"]],
  );
});

test("waiting for a revision that changed nothing here ends as soon as it is reached", async (context) => {
  const setup = setUp(context);
  await started(setup);
  const { revision } = await put(setup.store, ["other/1", "red"]);
  await setup.things.waitFor(revision);
  assert.equal(setup.things.revision, revision);
});

test("a value that cannot be parsed is reported, and the last good one stays", async (context) => {
  const setup = setUp(context);
  const { clock, store, things } = setup;
  await put(store, ["thing/1", "red"]);
  await store.txn({ compare: [], then: [{ kind: "put", key: "thing/2", value: "{broken" }] });
  await started(setup);
  assert.deepEqual(
    [...things.all()].map((entry) => entry.key),
    ["thing/1"],
  );
  await store.txn({ compare: [], then: [{ kind: "put", key: "thing/1", value: "7" }] });
  await settle(clock);
  assert.equal(things.get("thing/1")?.value.color, "red");
  assert.deepEqual(
    things.failures().map(({ key }) => key),
    ["thing/2", "thing/1"],
  );
  await put(store, ["thing/1", "blue"]);
  await store.txn({ compare: [], then: [{ kind: "delete", key: "thing/2" }] });
  await settle(clock);
  assert.deepEqual(things.failures(), []);
  assert.equal(things.get("thing/1")?.value.color, "blue");
});

test("a listener that throws does not keep the others from being told", async (context) => {
  const setup = setUp(context);
  setup.things.onChange(() => {
    throw new TypeError("broken listener");
  });
  let calls = 0;
  setup.things.onChange(() => calls++);
  await put(setup.store, ["thing/1", "red"]);
  await started(setup);
  assert.equal(calls, 1);
});

test("a compacted watch is listed again and only the difference is told", async (context) => {
  const lost = new AbortController();
  const setup = setUp(context, (clock) => new FragileStore(clock, lost.signal));
  const { clock, store, things, told, mirror } = setup;
  await put(store, ["thing/1", "red"], ["thing/2", "red"], ["thing/3", "red"]);
  await started(setup);
  told.length = 0;
  // The watch breaks, and before it is back its position is forgotten.
  lost.abort(new TypeError("connection lost"));
  await put(store, ["thing/2", "blue"]);
  await store.txn({ compare: [], then: [{ kind: "delete", key: "thing/3" }] });
  await store.compact(await store.currentRevision());
  await settle(clock);
  clock.advance(60_000);
  await settle(clock);
  assert.equal(mirror.listCount, 2);
  assert.deepEqual(
    told.map((changes) => changes.map(({ type, key }) => `${type} ${key}`)),
    [["put thing/2", "delete thing/3"]],
  );
  assert.deepEqual([...things.all()].map((entry) => entry.key).sort(), ["thing/1", "thing/2"]);
});

test("another life of the store is listed, and waiting for a revision of the old one is refused", async (context) => {
  const setup = setUp(context, (clock) => new TwoLives(clock));
  const { clock, store, things } = setup;
  assert(store instanceof TwoLives);
  await put(store, ["thing/1", "red"]);
  await put(store, ["thing/1", "green"]);
  await started(setup);
  const waiting = assert.rejects(things.waitFor(99), { storeCode: "future-revision" });
  await store.restore(["thing/1", "blue"], ["thing/9", "blue"]);
  await settle(clock);
  clock.advance(60_000);
  await settle(clock);
  await waiting;
  assert.equal(things.get("thing/1")?.value.color, "blue");
  assert.equal(things.size, 2);
  assert.equal(things.revision, 1);
});

/** The first watch fails when `lost` aborts. */
class FragileStore extends MemoryStore {
  #lost: AbortSignal | undefined;

  constructor(clock: ManualClock, lost: AbortSignal) {
    super({ clock });
    this.#lost = lost;
  }

  override watch(prefix: string, fromRevision: number, signal: AbortSignal) {
    const signals = this.#lost === undefined ? [signal] : [signal, this.#lost];
    this.#lost = undefined;
    return super.watch(prefix, fromRevision, AbortSignal.any(signals));
  }
}

/** One store in the caller's hands, behind which another life can begin. */
class TwoLives implements Store {
  readonly #clock: ManualClock;
  #life: MemoryStore;

  constructor(clock: ManualClock) {
    this.#clock = clock;
    this.#life = new MemoryStore({ clock, epoch: "first" });
  }

  async restore(...colors: readonly (readonly [string, string])[]): Promise<void> {
    const old = this.#life;
    this.#life = new MemoryStore({ clock: this.#clock, epoch: "second" });
    await put(this.#life, ...colors);
    await old.close();
  }

  get epoch() {
    return this.#life.epoch;
  }

  get: Store["get"] = (key, options) => this.#life.get(key, options);
  list: Store["list"] = (prefix, options) => this.#life.list(prefix, options);
  txn: Store["txn"] = (txn, options) => this.#life.txn(txn, options);
  watch: Store["watch"] = (prefix, from, signal) => this.#life.watch(prefix, from, signal);
  requestProgress: Store["requestProgress"] = () => this.#life.requestProgress();
  compact: Store["compact"] = (revision) => this.#life.compact(revision);
  grantLease: Store["grantLease"] = (ttlMs) => this.#life.grantLease(ttlMs);
  keepAlive: Store["keepAlive"] = (leaseId) => this.#life.keepAlive(leaseId);
  revokeLease: Store["revokeLease"] = (leaseId) => this.#life.revokeLease(leaseId);
  currentRevision: Store["currentRevision"] = () => this.#life.currentRevision();
  snapshot: Store["snapshot"] = (path) => this.#life.snapshot(path);
  close: Store["close"] = () => this.#life.close();
}
