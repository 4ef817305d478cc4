/** What many are told alike: each ends with what is, nobody is told of its own, and nothing is kept for long. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "@berth/base";
import type { Item } from "../directory/directory.ts";
import { TOPIC_BYTES_MAX, WatchTopic } from "./watch-topic.ts";

class Reader {
  readonly node: string;
  readonly known = new Map<string, string>();
  resyncs = 0;

  constructor(node: string) {
    this.node = node;
  }

  resync(): void {
    this.resyncs++;
  }

  read(topic: WatchTopic<Reader>): string[] {
    const told = topic.take(this, this.node);
    const lines = told.flatMap(({ bytes }) => bytes.toString().split("\n").slice(0, -1));
    assert.equal(
      told.reduce((sum, each) => sum + each.lines, 0),
      lines.length,
      "lines are counted",
    );
    for (const line of lines) {
      const [key = "", , value] = line.split(" ");
      if (value === undefined) this.known.delete(key);
      else this.known.set(key, value);
    }
    return lines;
  }
}

/** Objects with their owners, and the topic that tells of them. */
class World {
  readonly items = new Map<string, { owner: string; value: string; item: Item }>();
  readonly topic = new WatchTopic<Reader>({
    items: () => [...this.items.values()].map(({ item }) => item),
    line: (item) => Buffer.from(this.#lineOf(item.key)),
    owner: (item) => this.items.get(item.key)?.owner,
  });
  #revision = 0;

  put(key: string, owner: string, value: string): void {
    // A topic asks nothing of an object but its key, and that it is another one when it changed.
    const item = { key, revision: ++this.#revision, value: {} } as unknown as Item;
    this.items.set(key, { owner, value, item });
    this.topic.note(key, owner, () => this.topic.lineOf(item));
  }

  delete(key: string): void {
    const owner = this.items.get(key)?.owner;
    this.items.delete(key);
    this.topic.note(key, owner, () => Buffer.from(`${key} -\n`));
  }

  seenBy(node: string): Map<string, string> {
    const seen = [...this.items].filter(([, { owner }]) => owner !== node);
    return new Map(seen.map(([key, { value }]) => [key, value]));
  }

  #lineOf(key: string): string {
    const { owner = "", value = "" } = this.items.get(key) ?? {};
    return `${key} ${owner} ${value}\n`;
  }
}

const RUNS = 200;
const STEPS = 80;

test("whoever reads, whenever it came, knows what there is of others", () => {
  for (let seed = 0; seed < RUNS; seed++) {
    const prng = new Prng(seed);
    const world = new World();
    const nodes = ["a", "b", "c"];
    const readers = new Map<string, Reader>();
    for (let step = 0; step < STEPS; step++) {
      const node = prng.pick(nodes);
      const reader = readers.get(node);
      const choice = prng.int(0, 9);
      if (choice <= 4) world.put(`k${prng.int(0, 5)}`, prng.pick(nodes), `v${step}`);
      else if (choice === 5) world.delete(`k${prng.int(0, 5)}`);
      else if (choice <= 7) reader?.read(world.topic);
      else if (reader === undefined) {
        const come = new Reader(node);
        readers.set(node, come);
        world.topic.add(come, { all: true });
      } else {
        world.topic.remove(reader);
        readers.delete(node);
      }
    }
    for (const reader of readers.values()) {
      reader.read(world.topic);
      const seen = world.seenBy(reader.node);
      for (const [key, value] of seen) assert.equal(reader.known.get(key), value, `seed ${seed}`);
      assert.deepEqual(reader.read(world.topic), [], "nothing is told twice");
    }
    assert.equal(world.topic.hasNews, false);
    assert.equal(world.topic.bytes, 0, "everybody has been told: nothing is kept");
  }
});

test("of an object only the newest line is told, and those who stand alike share the bytes", () => {
  const world = new World();
  const [one, other, owner] = [new Reader("a"), new Reader("b"), new Reader("c")];
  for (const reader of [one, other, owner]) world.topic.add(reader, { all: false });
  world.put("k1", "c", "v1");
  world.put("k2", "x", "v1");
  world.put("k1", "c", "v2");
  const [first] = world.topic.take(one, "a");
  const [second] = world.topic.take(other, "b");
  assert.equal(first?.bytes.toString(), "k2 x v1\nk1 c v2\n");
  assert.equal(first?.bytes, second?.bytes);
  assert.deepEqual(owner.read(world.topic), ["k2 x v1"]);
});

test("who does not read is given up, and the others go on", () => {
  const world = new World();
  const [slow, quick] = [new Reader("a"), new Reader("b")];
  world.topic.add(slow, { all: false });
  world.topic.add(quick, { all: false });
  const value = "x".repeat(1_000);
  for (let index = 0; index * value.length < 2 * TOPIC_BYTES_MAX; index++) {
    world.put(`k${index}`, "c", value);
    if (index % 100 === 0) quick.read(world.topic);
    assert.ok(world.topic.bytes <= TOPIC_BYTES_MAX + 2 * value.length);
  }
  quick.read(world.topic);
  assert.equal(slow.resyncs, 1);
  assert.equal(quick.resyncs, 0);
  assert.equal(quick.known.size, world.items.size);
  assert.equal(world.topic.bytes, 0);
});

test("what somebody else tells is not told from the log", () => {
  const world = new World();
  const reader = new Reader("a");
  world.topic.add(reader, { all: false });
  world.put("k1", "c", "v1");
  world.put("k2", "c", "v1");
  world.topic.drop("k1");
  assert.deepEqual(reader.read(world.topic), ["k2 c v1"]);
});
