/**
 * A volume moves between modelled nodes, and something goes wrong at each step in turn: nothing that was written is
 * ever lost, never do two copies write, and in the end it is whole on one node and its service runs there.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isFinal, keys, type Operation, type Volume } from "@berth/protocol";
import { releaseRow, stackRow } from "../api/api-fixture.ts";
import { packUnits } from "../plan/unit.ts";
import { EXCLUSIVE_VOLUME, serviceSpec, stopFirst, writes } from "../testing/specs.ts";
import { TableCluster } from "../testing/table-cluster.ts";
import { beginMove, SILENCE_MS_MAX, STOPPING_MS_MAX, volumeStep } from "./volume-moves.ts";

const SCOPE = { project: "default", environment: "main", stack: "shop" } as const;
const KEY = keys.volume(SCOPE, "data");

/** What may happen between any two actions. */
type Fault =
  | "nothing"
  | "operation fails"
  | "source is silent"
  | "target is silent"
  | "target is removed"
  | "copy is cut off"
  | "copies do not stop";

class World {
  readonly cluster = new TableCluster(3);
  /** By node and name at its engine: what was written last. */
  readonly disk = new Map<string, Map<string, number>>();
  readonly silent = new Set<string>();
  readonly written = { value: 0 };
  fault: Fault = "nothing";
  stubborn = false;

  constructor() {
    for (const node of ["n1", "n2"]) {
      this.cluster.addNode(node);
      this.disk.set(node, new Map());
    }
    const spec = serviceSpec({ mounts: writes("data"), update: stopFirst(), networks: {} });
    const image = { reference: "db:1", imageId: `sha256:${"1".repeat(64)}` };
    const services = { db: { spec, image, template: "t1" } };
    const volumes = { data: EXCLUSIVE_VOLUME };
    const release = releaseRow({ ...SCOPE, services, volumes, networks: {} });
    this.cluster.put("stack", keys.stack(SCOPE), stackRow());
    this.cluster.put("release", keys.release(SCOPE, 1), release);
  }

  get volume(): Volume {
    return this.cluster.view.volumes.get(KEY)?.value ?? assert.fail("no volume");
  }

  get home(): string {
    return this.volume.node ?? assert.fail("no home");
  }

  get tasks() {
    const { view } = this.cluster;
    return view.tasks.all().map(({ value: task }) => {
      const state = view.statuses.by("task", task.id)[0]?.value.state;
      return { task, isAlive: state !== undefined && !isFinal(state) };
    });
  }

  move(to: string): void {
    const { cluster } = this;
    const wish = { scope: SCOPE, name: "data", to, id: "move0001", now: cluster.now };
    const decision = beginMove(cluster.view, wish);
    assert.equal(decision.kind, "accepted", JSON.stringify(decision));
    if (decision.kind === "accepted") assert.ok(cluster.apply(decision.txn));
  }

  readonly actions: readonly (() => void)[] = [
    () => void this.cluster.look(SCOPE),
    () => this.control(),
    () => this.agents(),
    () => this.operations(),
  ];

  control(): void {
    const { cluster } = this;
    const volume = cluster.view.volumes.get(KEY);
    if (volume?.value.hold === undefined) return;
    const { view, now } = cluster;
    const { hold } = volume.value;
    const unit = volumeStep({ view, volume, hold, now, newId: cluster.ids.identifier });
    for (const { txn } of unit === undefined ? [] : packUnits([unit], [])) {
      assert.ok(cluster.apply(txn));
    }
  }

  agents(): void {
    for (const { task, isAlive } of this.tasks) {
      if (this.silent.has(task.node)) continue;
      if (task.desired === "running" && !isAlive) this.say(task.id, "running");
      if (task.desired === "stopped" && isAlive && !this.stubborn) this.say(task.id, "removed");
      const [volume] = task.volumes;
      const runs = task.desired === "running" || (this.stubborn && isAlive);
      if (!runs || volume === undefined) continue;
      this.disk.get(task.node)?.set(volume.engineName, ++this.written.value);
    }
    // A silent node writes on: it has not heard anything.
    for (const { task, isAlive } of this.tasks) {
      const [volume] = task.volumes;
      if (!this.silent.has(task.node) || !isAlive || volume === undefined) continue;
      this.disk.get(task.node)?.set(volume.engineName, ++this.written.value);
    }
  }

  say(id: string, state: "running" | "removed"): void {
    const { view } = this.cluster;
    const task = view.tasks.by("id", id)[0]?.value;
    if (task === undefined) return;
    const before = view.statuses.by("task", id)[0]?.value;
    if (before !== undefined && isFinal(before.state)) return;
    this.cluster.put("status", keys.status(task, id), {
      ...{ task: id, node: task.node, sequence: (before?.sequence ?? 0) + 1, attempt: 1, state },
      ready: state === "running",
      ...(state === "running" ? { readyAt: this.cluster.now } : { outcome: "stopped" as const }),
      recentFailures: 0,
      updatedAt: this.cluster.now,
    });
  }

  operations(): void {
    for (const { key, value } of this.cluster.view.operations.all()) {
      const isOpen = value.state === "pending" || value.state === "running";
      if (!isOpen || this.silent.has(value.node)) continue;
      const next = this.perform(value);
      if (next !== undefined) {
        this.cluster.put("operation", key, { ...value, ...next, updatedAt: this.cluster.now });
      }
    }
  }

  perform({ input, node }: Operation): Partial<Operation> | undefined {
    const disk = this.disk.get(node) ?? assert.fail();
    const isUsed = (name: string, on: string) =>
      this.tasks.some(
        ({ task, isAlive }) =>
          isAlive && task.node === on && task.volumes.some((each) => each.engineName === name),
      );
    if (input.kind === "remove-volume") {
      assert.ok(!isUsed(input.engineName, node), "what is used is not asked to be removed");
      disk.delete(input.engineName);
      return { state: "done" };
    }
    if (input.kind !== "receive-volume") return undefined;
    // A copy that was begun and not ended.
    disk.set(input.engineName, -1);
    if (this.fault === "copy is cut off") {
      this.fault = "nothing";
      return undefined;
    }
    if (this.fault === "operation fails") {
      return { state: "failed", error: { code: "storage_full", message: "no room", details: {} } };
    }
    if (this.silent.has(input.from)) return undefined;
    assert.ok(!isUsed(input.source, input.from), "nothing writes while it is copied");
    const value = this.disk.get(input.from)?.get(input.source);
    assert.ok(value !== undefined, "the source is there");
    disk.set(input.engineName, value);
    return { state: "done", received: { bytes: 8, digest: "sha256:0" } };
  }

  begin(fault: Fault): void {
    this.fault = fault;
    if (fault === "source is silent") this.silence("n1");
    if (fault === "target is silent") this.silence("n2");
    if (fault === "copies do not stop") this.stubborn = true;
    if (fault === "target is removed" && this.home !== "n2") {
      this.cluster.apply({
        compare: [],
        then: [
          { kind: "delete", key: keys.node("n2") },
          { kind: "delete", key: keys.nodeStatus("n2") },
        ],
      });
      this.silent.add("n2");
    }
  }

  silence(node: string): void {
    this.silent.add(node);
    this.cluster.addNode(node, { contact: "down", contactChangedAt: this.cluster.now });
  }

  heal(): void {
    for (const node of this.silent) {
      if (this.cluster.view.nodes.get(keys.node(node)) === undefined) continue;
      this.cluster.addNode(node);
      this.silent.delete(node);
    }
    this.stubborn = false;
    this.fault = "nothing";
  }

  check(): void {
    const alive = this.tasks.filter(({ isAlive }) => isAlive);
    assert.ok(alive.length <= 1, `${alive.length} copies write`);
    if (this.written.value === 0) return;
    const { node = "", engineName } = this.volume;
    const found = this.disk.get(node)?.get(engineName);
    assert.equal(found, this.written.value, "the last write is where the volume is");
  }

  round(ms = 1_000): void {
    for (const action of this.actions) {
      action();
      this.check();
    }
    this.cluster.now += ms;
  }
}

/** A world whose db runs on n1, by the grace of the first look. */
function world(): World {
  const made = new World();
  for (let round = 0; round < 3; round++) made.round();
  assert.equal(made.home, "n1");
  assert.ok(made.tasks[0]?.isAlive);
  return made;
}

test("a volume moves, its service runs on where it is, and the old copy is gone", () => {
  const made = world();
  made.move("n2");
  for (let round = 0; round < 12; round++) made.round();
  assert.equal(made.home, "n2");
  assert.equal(made.volume.hold, undefined);
  assert.equal(made.volume.last?.state, "done");
  assert.equal(made.disk.get("n1")?.size, 0, "nothing is left behind");
  assert.deepEqual(
    made.tasks.filter(({ isAlive }) => isAlive).map(({ task }) => task.node),
    ["n2"],
  );
});

const FAULTS: readonly Fault[] = [
  "operation fails",
  "source is silent",
  "target is silent",
  "target is removed",
  "copy is cut off",
  "copies do not stop",
];
const ACTIONS = 24;

for (const fault of FAULTS) {
  test(`${fault}, at each step: it is resumed or undone, and nothing is lost`, () => {
    const ends = new Set<string>();
    for (let at = 0; at < ACTIONS; at++) {
      for (const lastsMs of [5_000, SILENCE_MS_MAX + STOPPING_MS_MAX + 30_000]) {
        const made = world();
        made.move("n2");
        for (let step = 0; step < at; step++) {
          made.actions[step % made.actions.length]?.();
          made.check();
        }
        made.begin(fault);
        for (let ms = 0; ms < lastsMs; ms += 5_000) made.round(5_000);
        made.heal();
        for (let round = 0; round < 20; round++) made.round(5_000);
        const { hold, last } = made.volume;
        const place = `${fault} at action ${at} for ${lastsMs} ms`;
        assert.equal(hold, undefined, `${place}: it comes to an end`);
        assert.equal(made.home, last?.state === "done" ? "n2" : "n1", place);
        const running = made.tasks.filter(({ isAlive }) => isAlive);
        assert.deepEqual(
          running.map(({ task }) => task.node),
          [made.home],
          place,
        );
        const left = [...made.disk].flatMap(([node, names]) =>
          made.silent.has(node) ? [] : [...names.keys()],
        );
        assert.equal(left.length, 1, `${place}: nothing is left behind: ${left.join(", ")}`);
        ends.add(last?.state ?? "none");
      }
    }
    assert.ok(ends.has("done"), "some went on to the end");
    if (fault !== "copy is cut off") assert.ok(ends.has("failed"), "some were undone");
  });
}

test("what cannot be moved is refused with the reason", () => {
  const made = world();
  const wish = { scope: SCOPE, name: "data", to: "n2", id: "move0001", now: made.cluster.now };
  const words = (changes: Partial<typeof wish>) => {
    const decision = beginMove(made.cluster.view, { ...wish, ...changes });
    return decision.kind === "refused" ? `${decision.code}: ${decision.message}` : "accepted";
  };
  assert.equal(words({ to: "n1" }), "conflict: volume data is on n1 already");
  assert.equal(words({ to: "n9" }), "not_found: there is no node n9");
  assert.match(words({ name: "logs" }), /^not_found: stack .* has no volume logs/);
  made.silence("n2");
  assert.equal(words({}), "node_unreachable: node n2 is not in contact");
  made.heal();
  made.move("n2");
  assert.equal(words({}), "conflict: volume data is busy: move, stopping");
});
