/**
 * Whoever watches ends with exactly the state: however often the stream breaks, wherever it is taken up,
 * whatever was compacted meanwhile.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Prng } from "@berth/base";
import {
  keys,
  ProtocolError,
  type Task,
  type WatchEvent,
  type WatchSelector,
} from "@berth/protocol";
import { parseLines } from "@berth/protocol/client/ndjson";
import {
  type ApiFixture,
  nodeRow,
  releaseRow,
  SCOPE,
  settled,
  startFixture,
  statusRow,
  taskRow,
} from "./api-fixture.ts";
import { assignmentOf } from "./assignment.ts";
import { facetsOf, matches } from "./watch-facets.ts";

const ADMIN = { role: "admin", name: "admin" } as const;
const RUNS = 40;
const STEPS = 60;

/** A client: what it knows, and where it would go on. */
class Follower {
  readonly objects = new Map<string, unknown>();
  readonly #fixture: ApiFixture;
  readonly #selectors: readonly WatchSelector[];
  #position: string | undefined;
  #abort = new AbortController();
  #listed: Set<string> | undefined;
  lists = 0;
  resumes = 0;
  running: Promise<void> = Promise.resolve();

  constructor(fixture: ApiFixture, selectors: readonly WatchSelector[]) {
    this.#fixture = fixture;
    this.#selectors = selectors;
  }

  connect(): void {
    this.#abort = new AbortController();
    this.running = this.#run(this.#abort.signal).catch((error: unknown) => {
      if (this.#abort.signal.aborted) return;
      if (!(error instanceof ProtocolError) || error.code !== "position_gone") throw error;
      this.#position = undefined;
      this.connect();
    });
  }

  async disconnect(): Promise<void> {
    this.#abort.abort(new Error("disconnected"));
    await settled(this.#fixture.clock, this.running);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const position = this.#position;
    if (position === undefined) this.#listed = new Set();
    const stream = await this.#fixture.api.watches.open({
      selectors: this.#selectors,
      actor: ADMIN,
      signal,
      ...(position === undefined ? {} : { position }),
    });
    if (position === undefined) this.lists++;
    else this.resumes++;
    for await (const value of parseLines(flat(stream))) {
      // A broken connection may lose what was on its way.
      if (signal.aborted) return;
      this.#apply(value as WatchEvent);
    }
  }

  #apply(event: WatchEvent): void {
    if (event.type === "put") {
      this.objects.set(`${event.kind} ${event.key}`, event.value);
      this.#listed?.add(`${event.kind} ${event.key}`);
    } else if (event.type === "delete") this.objects.delete(`${event.kind} ${event.key}`);
    else if (event.type === "synced" || event.type === "bookmark") {
      this.#position = event.position;
      if (event.type !== "synced") return;
      for (const name of this.objects.keys()) {
        if (this.#listed?.has(name) === false) this.objects.delete(name);
      }
      this.#listed = undefined;
    }
  }
}

async function* flat(stream: AsyncIterable<readonly Buffer[]>): AsyncGenerator<Uint8Array> {
  for await (const lines of stream) yield* lines;
}

/** The truth, by the slow obvious way: every object against every selector. */
function expected(fixture: ApiFixture, selectors: readonly WatchSelector[]): Map<string, unknown> {
  const { view } = fixture.state;
  const found = new Map<string, unknown>();
  const tables = [
    ["task", view.tasks],
    ["status", view.statuses],
    ["node", view.nodes],
  ] as const;
  for (const [kind, table] of tables) {
    for (const entity of table.all()) {
      for (const selector of selectors) {
        if (!matches(selector, facetsOf(kind, entity))) continue;
        if (selector.kind === kind) found.set(`${kind} ${entity.key}`, entity.value);
        if (kind !== "task" || selector.kind !== "assignment") continue;
        const assignment = assignmentOf(view, view.tasks.get(entity.key)?.value ?? taskRow("x"));
        if (assignment !== undefined) found.set(`assignment ${entity.key}`, assignment);
      }
    }
  }
  return found;
}

const SELECTIONS: readonly (readonly WatchSelector[])[] = [
  [{ kind: "task" }, { kind: "status" }, { kind: "node" }],
  [
    { kind: "assignment", node: "node-1" },
    { kind: "status", node: "node-1" },
  ],
  [
    { kind: "task", project: "default", environment: "main", stack: "shop" },
    { kind: "task", node: "node-2" },
    { kind: "node", node: "node-2" },
  ],
];

/** Changes as controllers make them: names are never used twice, releases never change. */
class Changes {
  readonly #fixture: ApiFixture;
  readonly #prng: Prng;
  readonly #alive: Task[] = [];
  #count = 0;

  constructor(fixture: ApiFixture, prng: Prng) {
    this.#fixture = fixture;
    this.#prng = prng;
  }

  async next(): Promise<void> {
    const prng = this.#prng;
    const task = this.#alive.length === 0 ? undefined : prng.pick(this.#alive);
    const choice = prng.int(0, 6);
    if (choice <= 1 || task === undefined) return this.#start();
    if (choice === 2) return this.#write({ ...task, desired: "stopped" });
    if (choice === 3) {
      const { node, id } = task;
      const status = statusRow(id, { node, sequence: prng.int(1, 99) });
      return this.#fixture.put(keys.status(task, id), status);
    }
    if (choice === 4) return this.#remove(task);
    if (choice === 5) {
      // May come after its tasks: then their assignments appear with it.
      const stack = prng.pick(["shop", "blog"]);
      const number = prng.int(1, 3);
      const key = keys.release({ ...SCOPE, stack }, number);
      return this.#fixture.put(key, releaseRow({ stack, number }));
    }
    const node = prng.pick(["node-1", "node-2"]);
    return this.#fixture.put(keys.node(node), nodeRow(node));
  }

  async #start(): Promise<void> {
    const prng = this.#prng;
    const task = taskRow(`task${String(++this.#count).padStart(4, "0")}`, {
      stack: prng.pick(["shop", "blog"]),
      node: prng.pick(["node-1", "node-2"]),
      release: prng.int(1, 3),
    });
    this.#alive.push(task);
    await this.#write(task);
  }

  #write(task: Task): Promise<void> {
    return this.#fixture.put(keys.task(task, task.id), task);
  }

  async #remove(task: Task): Promise<void> {
    this.#alive.splice(this.#alive.indexOf(task), 1);
    await this.#fixture.store.txn({
      compare: [],
      then: [
        { kind: "delete", key: keys.task(task, task.id) },
        { kind: "delete", key: keys.status(task, task.id) },
      ],
    });
  }
}

test("a watcher that disconnects at random and resumes ends with exactly the state", async () => {
  let lists = 0;
  let resumes = 0;
  for (let run = 0; run < RUNS; run++) {
    const prng = new Prng(run);
    const clock = new ManualClock();
    const fixture = await startFixture({ clock });
    const followers = SELECTIONS.map((selectors) => new Follower(fixture, selectors));
    for (const follower of followers) follower.connect();
    const changes = new Changes(fixture, prng);
    for (let step = 0; step < STEPS; step++) {
      await changes.next();
      if (prng.chance(0.3)) await settled(clock, fixture.state.waitFor(fixture.state.revision));
      if (prng.chance(0.4)) clock.advance(prng.int(0, 40));
      if (prng.chance(0.05)) await fixture.store.compact(fixture.state.revision);
      for (const follower of followers) {
        if (!prng.chance(0.15)) continue;
        await follower.disconnect();
        follower.connect();
      }
    }
    await settled(clock, fixture.state.waitFor(await fixture.store.currentRevision()));
    await settled(clock, pause(clock, 100));
    for (const [index, follower] of followers.entries()) {
      const truth = expected(fixture, SELECTIONS[index] ?? []);
      assert.deepEqual(sorted(follower.objects), sorted(truth), `seed ${run}, watcher ${index}`);
      lists += follower.lists;
      resumes += follower.resumes;
      await follower.disconnect();
    }
    assert.equal(fixture.api.watches.figures().watchers, 0, "nothing is left of closed streams");
    await fixture.stop();
  }
  // The test is worth something only if both ways were gone often.
  assert.ok(lists > RUNS * 3 && resumes > RUNS * 10, `${lists} lists, ${resumes} resumes`);
});

function pause(clock: ManualClock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ms, resolve);
  });
}

function sorted(objects: ReadonlyMap<string, unknown>): [string, unknown][] {
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1));
}
