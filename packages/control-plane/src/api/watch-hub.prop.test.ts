/**
 * Whoever watches ends with exactly the state: however often the stream breaks, wherever it is taken up,
 * whatever was compacted meanwhile.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Prng } from "@berth/base";
import {
  type Assignment,
  keys,
  ProtocolError,
  type Release,
  type Task,
  type WatchEvent,
  type WatchSelector,
} from "@berth/protocol";
import { parseLines } from "@berth/protocol/client/ndjson";
import { declaredServices, neighborOf, peerOf } from "../directory/declared.ts";
import { claimNameOf } from "../release/claims.ts";
import {
  type ApiFixture,
  nodeRow,
  nodeStatusRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  settled,
  stackRow,
  startFixture,
  statusRow,
  taskRow,
} from "./api-fixture.ts";
import { assignmentOf } from "./assignment.ts";
import { facetsOf, matches } from "./watch-facets.ts";

const ADMIN = { role: "admin", name: "admin" } as const;
const NODES = ["node-1", "node-2"];
const RUNS = 60;
const STEPS = 60;

/** A client: what it knows, and where it would go on. */
class Follower {
  readonly objects = new Map<string, unknown>();
  readonly #fixture: ApiFixture;
  readonly #selectors: readonly WatchSelector[];
  #position: string | undefined;
  #abort = new AbortController();
  #listed: Set<string> | undefined;
  #put = new Set<string>();
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
    this.#put = new Set();
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
      this.#put.add(`${event.kind} ${event.key}`);
    } else if (event.type === "listed") {
      for (const name of this.objects.keys()) {
        const isOfKind = event.kinds.some((kind) => name.startsWith(`${kind} `));
        if (isOfKind && !this.#put.has(name)) this.objects.delete(name);
      }
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
    ["network", view.networks],
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
  for (const { kind, node } of selectors) {
    if (kind === "service" || kind === "attachment" || kind === "peer") {
      for (const [key, value] of seenBy(fixture, kind, node ?? "")) {
        found.set(`${kind} ${key}`, value);
      }
    }
  }
  return found;
}

/** What a node is to see of others, by looking at everything. */
function seenBy(
  { state: { view } }: ApiFixture,
  kind: "service" | "attachment" | "peer",
  node: string,
): [string, unknown][] {
  const tasks = view.tasks.all();
  const carried = new Set(
    tasks
      .filter(({ value }) => value.node === node)
      .flatMap(({ value }) => value.attachments.map(({ networkId }) => networkId)),
  );
  for (const { key, value } of view.claims.by("node", node)) {
    if (value.freeAt === undefined) carried.add(claimNameOf(key)[1] ?? "");
  }
  const isOn = (networks: readonly { readonly networkId: string }[]) =>
    networks.some(({ networkId }) => carried.has(networkId));
  if (kind === "attachment") {
    return tasks.flatMap(({ key, value }): [string, unknown][] => {
      const neighbor = value.node === node ? undefined : neighborOf(view, value);
      return neighbor !== undefined && isOn(neighbor.attachments) ? [[key, neighbor]] : [];
    });
  }
  if (kind === "peer") {
    return [...carried].flatMap((network) =>
      NODES.flatMap((name): [string, unknown][] => {
        const peer = peerOf(view, network, name);
        return peer === undefined ? [] : [[keys.networkPeer(network, name), peer]];
      }),
    );
  }
  return view.stacks
    .all()
    .flatMap(({ value }) => declaredServices(view, value))
    .flatMap((service) =>
      isOn(service.networks) ? [[keys.declaredService(service), service]] : [],
    );
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
  [
    { kind: "service", node: "node-1" },
    { kind: "attachment", node: "node-1" },
    { kind: "attachment", node: "node-2" },
  ],
  [
    { kind: "peer", node: "node-1" },
    { kind: "attachment", node: "node-1" },
  ],
  [
    { kind: "peer", node: "node-1" },
    { kind: "peer", node: "node-2" },
  ],
  // As an agent does: what all on a network see alike comes with the network's log.
  [
    { kind: "service", node: "node-1" },
    { kind: "attachment", node: "node-1" },
  ],
  [
    { kind: "service", node: "node-2" },
    { kind: "attachment", node: "node-2" },
    { kind: "status", node: "node-2" },
    { kind: "network" },
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
    const choice = prng.int(0, 11);
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
      return this.#fixture.put(key, releaseOf(stack, number));
    }
    if (choice >= 10) return this.#overlay(task);
    if (choice >= 7) return this.#environment(choice);
    const node = prng.pick(["node-1", "node-2"]);
    return this.#fixture.put(keys.node(node), nodeRow(node));
  }

  /** Stacks move between releases and go; networks come and go, one is shared. */
  async #environment(choice: number): Promise<void> {
    const prng = this.#prng;
    const stack = prng.pick(["shop", "blog"]);
    if (choice === 7) {
      const name = prng.pick(["default", "back"]);
      const key = keys.network({ ...SCOPE, stack }, name);
      if (prng.chance(0.2)) return this.#delete(key);
      const id = networkId(stack, name);
      const subnet = "10.64.3.0/24";
      const row = { ...SCOPE, stack, name, id, subnet, gateway: "10.64.3.1", internal: false };
      return this.#fixture.put(key, { ...row, createdAt: 0 });
    }
    const key = keys.stack({ ...SCOPE, stack });
    if (prng.chance(0.2)) return this.#delete(key);
    return this.#fixture.put(key, stackRow({ stack, release: prng.int(1, 3) }));
  }

  /** Networks get identifiers, nodes addresses in them, and tell where they are reached; addresses move. */
  #overlay(task: Task): Promise<void> {
    const prng = this.#prng;
    const node = prng.pick(NODES);
    const network = networkId(prng.pick(["shop", "blog"]), prng.pick(["default", "back"]));
    const stack = "default/main/shop";
    const choice = prng.int(0, 3);
    if (choice === 0) {
      const key = keys.claim({ kind: "overlay-id", id: Number(network) });
      if (prng.chance(0.3)) return this.#delete(key);
      return this.#fixture.put(key, { stack, network });
    }
    if (choice === 1) {
      const underlay = { address: "192.0.2.1", port: prng.int(1, 9), mtu: 1_500 };
      const row = nodeStatusRow({ name: node, ...(prng.chance(0.8) ? { underlay } : {}) });
      return this.#fixture.put(keys.nodeStatus(node), row);
    }
    const own = {
      kind: "address",
      networkId: network,
      address: `10.64.3.25${node.at(-1)}`,
    } as const;
    const [attachment] = task.attachments;
    if (choice === 2 && attachment !== undefined) {
      const key = keys.claim({ kind: "address", ...attachment });
      // As plans do it: a task comes with its claim, which may go to another later.
      const isClaimed = this.#fixture.state.view.claims.get(key) !== undefined;
      const tasks = [isClaimed && prng.chance(0.5) ? "another00001" : task.id];
      return this.#fixture.put(key, { stack, service: "web", tasks });
    }
    if (prng.chance(0.2)) return this.#delete(keys.claim(own));
    const leaving = prng.chance(0.2) ? { freeAt: 1 } : {};
    const answers = prng.chance(0.5) ? { ingress: prng.chance(0.5) } : {};
    return this.#fixture.put(keys.claim(own), { stack, node, ...answers, ...leaving });
  }

  async #delete(key: string): Promise<void> {
    await this.#fixture.store.txn({ compare: [], then: [{ kind: "delete", key }] });
  }

  async #start(): Promise<void> {
    const prng = this.#prng;
    const stack = prng.pick(["shop", "blog"]);
    const release = prng.int(1, 3);
    const networks = ["default", "back"].filter(() => prng.chance(0.5));
    const task = taskRow(`task${String(++this.#count).padStart(4, "0")}`, {
      stack,
      attachments: networks.map((name) => ({
        networkId: networkId(prng.chance(0.8) ? stack : "shop", name),
        address: `10.64.3.${this.#count}`,
        mac: "02:42:0a:40:03:01",
      })),
      node: prng.pick(["node-1", "node-2"]),
      release,
      template: `t${release}`,
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

function networkId(stack: string, name: string): string {
  return `${stack === "shop" ? "1" : "2"}${name === "default" ? "0" : "1"}000000`;
}

/** `blog` shares a network of `shop`; services come and go with the releases. */
function releaseOf(stack: string, number: number): Release {
  const release = releaseRow({ stack, number });
  const known = Object.values(release.services)[0];
  assert.ok(known !== undefined);
  const on = (networks: Record<string, { aliases: string[] }>) => ({
    ...known,
    template: `t${number}`,
    spec: serviceSpec({ networks, expose: [80 + number], engine: { hostname: `h${number}` } }),
  });
  const back = stack === "blog" ? { external: { stack: "shop", name: "back" } } : {};
  return {
    ...release,
    services: {
      web: on({ default: { aliases: ["www"] } }),
      ...(number === 1 ? {} : { api: on({ default: { aliases: [] }, back: { aliases: ["a"] } }) }),
      ...(number === 3 ? { db: on({ back: { aliases: [] } }) } : {}),
    },
    networks: {
      default: { internal: false, labels: {} },
      back: { internal: false, labels: {}, ...back },
    },
  };
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
  assert.ok(lists > RUNS * 4 && resumes > RUNS * 10, `${lists} lists, ${resumes} resumes`);
});

function pause(clock: ManualClock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(ms, resolve);
  });
}

/** What was reported when an assignment was told is of that moment: no report changes an assignment. */
function sorted(objects: ReadonlyMap<string, unknown>): [string, unknown][] {
  const lasting = ([key, value]: [string, unknown]): [string, unknown] => {
    if (!key.startsWith("assignment ")) return [key, value];
    const { reported: _then, ...rest } = value as Assignment;
    return [key, rest];
  };
  return [...objects].map(lasting).sort(([a], [b]) => (a < b ? -1 : 1));
}
