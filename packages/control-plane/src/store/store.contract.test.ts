import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ManualClock, Prng, silentLogger } from "@berth/base";
import { storeContract } from "./contract.ts";
import { faultContract } from "./contract-faults.ts";
import type { StoreSubject } from "./contract-subject.ts";
import { FaultyStore } from "./faulty.ts";
import { MemoryStore } from "./memory.ts";
import { openSqliteStore } from "./sqlite.ts";

async function memorySubject(context: TestContext): Promise<StoreSubject> {
  const clock = new ManualClock();
  const store = new MemoryStore({ clock });
  context.after(() => store.close());
  return { store, advance: async (ms) => clock.advance(ms) };
}

async function sqliteSubject(context: TestContext): Promise<StoreSubject> {
  const folder = await mkdtemp(join(tmpdir(), "berth-store-"));
  const clock = new ManualClock();
  const path = join(folder, "berth.db");
  const open = () => openSqliteStore({ path, clock, log: silentLogger });
  let store = await open();
  context.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  const advance = async (ms: number) => {
    clock.advance(ms);
    // What a timer has caused stands in the worker's queue now: this read comes after it.
    if (await store.get("settled").catch(() => undefined)) return;
  };
  const reopen = async () => {
    await store.close();
    store = await open();
    return store;
  };
  return { store, advance, reopen };
}

/** Time passes by itself, a millisecond a turn of the event loop, so that delays end. */
async function delayedSubject(context: TestContext): Promise<StoreSubject> {
  const clock = new ManualClock();
  const inner = new MemoryStore({ clock });
  const store = new FaultyStore({
    store: inner,
    clock,
    prng: new Prng(7),
    faults: { latencyMsMax: 5 },
  });
  let isOver = false;
  const pump = async () => {
    while (!isOver) {
      await turn();
      clock.advance(1);
    }
  };
  const pumping = pump();
  context.after(async () => {
    isOver = true;
    await store.close();
    await pumping;
  });
  return { store, advance: async (ms) => clock.advance(ms) };
}

storeContract("memory", memorySubject);
storeContract("SQLite", sqliteSubject);
storeContract("memory behind a slow network", delayedSubject);

const seeds = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
faultContract("memory", memorySubject, seeds(20));
faultContract("SQLite", sqliteSubject, seeds(5));
