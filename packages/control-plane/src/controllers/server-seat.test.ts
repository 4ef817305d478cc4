import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import { keys, type Node } from "@berth/protocol";
import { ControlPlane } from "../control-plane.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { StoreError, StoreUnknownOutcome } from "../store/errors.ts";
import { MemoryStore } from "../store/memory.ts";
import type { Store } from "../store/port.ts";
import { SEAT_LEASE_MS } from "./server-seat.ts";

/** A way to the store that can be cut, and that can lose the reply to one write. */
class Way {
  isCut = false;
  losesReply = false;
  readonly store: Store;

  constructor(store: Store) {
    const way = this;
    this.store = new Proxy(store, {
      get(target, name) {
        const member = Reflect.get(target, name);
        if (typeof member !== "function" || name === "watch" || name === "requestProgress") {
          return typeof member === "function" ? member.bind(target) : member;
        }
        return async (...args: unknown[]) => {
          if (way.isCut) throw new StoreError("io", "the way is cut");
          const result = await member.apply(target, args);
          const isLost = way.losesReply && name === "txn";
          if (isLost) way.losesReply = false;
          if (isLost) throw new StoreUnknownOutcome("the reply was lost");
          return result;
        };
      },
    });
  }
}

interface Server {
  readonly way: Way;
  readonly plane: ControlPlane;
}

/** Servers that share a store, in a world whose time passes only in `pass`. */
class Servers {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore({ clock: this.clock });
  #seed = 1;

  async start(context: TestContext): Promise<Server> {
    const { clock, store } = this;
    const way = new Way(store);
    const prng = new Prng(this.#seed++);
    const log = silentLogger;
    const driver = new Driver({ clock, log, prng: prng.fork() });
    const settings = DEFAULT_SETTINGS;
    const options = { clock, log, prng, driver, settings, shared: true } as const;
    const plane = new ControlPlane({ store: way.store, ...options });
    context.after(() => this.during(driver.stop()));
    await this.during(plane.start());
    await this.pass(50);
    return { way, plane };
  }

  /** Lets time pass until `work` is done. */
  async during(work: Promise<unknown>): Promise<void> {
    let isDone = false;
    const done = work.finally(() => {
      isDone = true;
    });
    while (!isDone) await this.pass(10);
    await done;
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10) {
      this.clock.advance(10);
      for (let turns = 0; turns < 5; turns++) await turn();
    }
  }
}

test("of servers that share a store one acts, and another when it stops", async (context) => {
  const servers = new Servers();
  const first = await servers.start(context);
  const second = await servers.start(context);
  assert.deepEqual([first.plane.acts, second.plane.acts], [true, false]);
  await servers.during(first.plane.stop());
  await servers.pass(50);
  assert.deepEqual([first.plane.acts, second.plane.acts], [false, true]);
});

test("a leader that is cut off is replaced in its lease and a period, and cannot write", async (context) => {
  const servers = new Servers();
  const first = await servers.start(context);
  const second = await servers.start(context);
  const before = (await servers.store.get(keys.leader())).entry;
  first.way.isCut = true;
  await servers.pass(SEAT_LEASE_MS * 1.5);
  assert.equal(second.plane.acts, true);
  const after = (await servers.store.get(keys.leader())).entry;
  assert.notEqual(after?.value, before?.value);
  // It has noticed by itself, without a word from anybody.
  assert.equal(first.plane.acts, false);
  first.way.isCut = false;
  await servers.pass(SEAT_LEASE_MS * 3);
  assert.deepEqual([first.plane.acts, second.plane.acts], [false, true]);
});

test("a leadership that was taken without a word is found and used", async (context) => {
  const servers = new Servers();
  const first = await servers.start(context);
  const second = await servers.start(context);
  second.way.losesReply = true;
  await servers.during(first.plane.stop());
  await servers.pass(SEAT_LEASE_MS);
  assert.equal(second.plane.acts, true);
});

test("a leadership without a lease, of a server that was alone, is taken over", async (context) => {
  const servers = new Servers();
  const put = { kind: "put", key: keys.leader(), value: '{"server":"old","since":1}' } as const;
  await servers.store.txn({ compare: [], then: [put] });
  const first = await servers.start(context);
  assert.equal(first.plane.acts, true);
});

test("a node that talks to a server that does not lead stays in contact", async (context) => {
  const servers = new Servers();
  const first = await servers.start(context);
  const second = await servers.start(context);
  const node = (name: string): Node => ({
    name,
    labels: {},
    availability: "active",
    joinedAt: 0,
    contact: "up",
    contactChangedAt: 0,
  });
  for (const name of ["talks", "silent", "other"]) {
    const put = { kind: "put", key: keys.node(name), value: JSON.stringify(node(name)) } as const;
    await servers.store.txn({ compare: [], then: [put] });
  }
  for (let round = 0; round < 20; round++) {
    second.plane.renewLease("talks");
    first.plane.renewLease("other");
    await servers.pass(1_000);
  }
  const contact = (name: string) =>
    first.plane.state.view.nodes.get(keys.node(name))?.value.contact;
  assert.deepEqual([contact("talks"), contact("other"), contact("silent")], ["up", "up", "down"]);
});

test("every node has a whole lease after a change of leader", async (context) => {
  const servers = new Servers();
  const first = await servers.start(context);
  const second = await servers.start(context);
  const value = JSON.stringify({ name: "a", labels: {}, availability: "active", contact: "up" });
  await servers.store.txn({ compare: [], then: [{ kind: "put", key: keys.node("a"), value }] });
  const { leaseMs } = DEFAULT_SETTINGS;
  await servers.pass(leaseMs / 2);
  first.plane.renewLease("a");
  await servers.during(first.plane.stop());
  await servers.pass(leaseMs * 0.9);
  const contact = () => second.plane.state.view.nodes.get(keys.node("a"))?.value.contact;
  assert.equal(contact(), "up");
  await servers.pass(leaseMs / 2);
  assert.equal(contact(), "down");
});
