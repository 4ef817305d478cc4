import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeAsk, makeNode } from "../testing/fixtures.ts";
import { AskReader, readAsk, type TraceAsk } from "./ask-line.ts";
import { Departures } from "./departures.ts";
import { TraceError } from "./fields.ts";
import { readNode } from "./node-line.ts";
import { readPlacement } from "./placement-line.ts";
import { type Outcome, Replay, refusalWords } from "./replay.ts";
import { engineFor } from "./replay-engine.ts";
import { hostsNeeded, useOf } from "./summary.ts";

function refused(read: (value: unknown) => unknown, value: unknown): string {
  try {
    read(value);
  } catch (error) {
    assert.ok(error instanceof TraceError);
    return error.message;
  }
  return "accepted";
}

test("every form of a field is read", () => {
  const { ask, arriveMs, minDomains } = readAsk({
    id: "a",
    service: "s",
    cpuMillis: 100,
    resources: { licence: 1 },
    devices: [{ kind: "gpu", shareMillis: 460, models: ["T4"] }],
    constraints: ["node.labels.disk==ssd"],
    affinity: [
      "node.labels.disk==ssd",
      "web",
      { service: "db", level: "zone", required: false, weight: 7 },
      { constraint: "node.labels.x exists" },
    ],
    antiAffinity: ["web", { service: "b", max: 2 }],
    spread: ["zone", { level: "rack", minDomains: 2 }],
    tolerations: ["key=value:NoSchedule"],
    arriveMs: 5,
    departMs: 9,
  });
  assert.deepEqual(
    ask.affinities?.map(({ kind }) => kind),
    ["node", "service", "service", "node"],
  );
  assert.deepEqual(
    ask.antiAffinities?.map(({ max }) => max),
    [undefined, 2],
  );
  assert.deepEqual(
    ask.spread?.map(({ required }) => required),
    [true, false],
  );
  assert.deepEqual(ask.tolerations, [{ key: "key", value: "value", effect: "no-schedule" }]);
  assert.deepEqual([...minDomains], [["rack", 2]]);
  assert.equal(arriveMs, 5);
  const { model, soft } = readNode({
    id: "n",
    cpuMillis: 8,
    soft: { cpuMillis: 6 },
    taints: ["a:NoExecute"],
    labels: { n: 3 },
  });
  assert.deepEqual(soft, { cpu: 6 });
  assert.deepEqual(model.labels, { n: "3" });
  assert.deepEqual(model.taints, [{ key: "a", effect: "no-execute" }]);
  assert.equal(readPlacement({ ask: "a", refused: { reasons: [] } }).node, undefined);
});

test("what is wrong is named with its field, and the nearest right name", () => {
  assert.equal(
    refused(readAsk, { id: "a", cpuMilis: 1 }),
    "cpuMilis: no such field; did you mean cpuMillis?",
  );
  assert.equal(
    refused(readAsk, { id: "a", cpuMillis: 1.5 }),
    "cpuMillis: expected a whole number of at least 0, found 1.5",
  );
  assert.equal(
    refused(readAsk, { id: "a", devices: [{ kind: "gpu", shareMillis: 1500 }] }),
    "devices[0].shareMillis: expected at most 1000, a whole device, found 1500",
  );
  assert.match(
    refused(readAsk, { id: "a", constraints: ["node.labels.x"] }),
    /^constraints\[0\]: expected an operator/,
  );
  assert.equal(
    refused(readAsk, { id: "a", arriveMs: 5, departMs: 4 }),
    "departMs: 4 is before arriveMs 5",
  );
  assert.equal(refused(readNode, []), "a line: expected an object, found []");
  assert.equal(refused(readNode, { id: "" }), 'id: expected a text that is not empty, found ""');
});

test("no value of any kind does anything but be read or be refused", () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom("devices", "affinity", "spread", "taints", "resources", "arriveMs"),
      (value, field) => {
        for (const read of [readAsk, readNode, readPlacement]) {
          refused(read, value);
          refused(read, { id: "x", ask: "x", node: "n", [field]: value });
        }
      },
    ),
  );
});

test("a reader that remembers kinds of lines reads what the careful one reads", () => {
  const lines = fc.array(
    fc.record(
      {
        id: fc.constantFrom("a", "b", ""),
        service: fc.constantFrom("s", "t", 1, null),
        arriveMs: fc.constantFrom(0, 3, -1, null),
        departMs: fc.constantFrom(2, 5, 1.5),
        cpuMillis: fc.constantFrom(1, 2, "2"),
        memoryBytes: fc.constantFrom(1, 2),
        resources: fc.constantFrom({ a: 1 }, { a: 2 }, { b: 1 }),
        spread: fc.constantFrom(["zone"], [{ level: "zone", minDomains: 2 }]),
        maxPerNode: fc.constantFrom(1, 2, null),
        typo: fc.constant(1),
      },
      { requiredKeys: [] },
    ),
    { minLength: 2, maxLength: 12 },
  );
  fc.assert(
    fc.property(lines, (all) => {
      const reader = new AskReader();
      for (const line of all) {
        const wanted = outcomeOf(() => readAsk(line));
        assert.deepEqual(
          outcomeOf(() => reader.read(line)),
          wanted,
        );
      }
    }),
    { numRuns: 2_000 },
  );
  const reader = new AskReader();
  const [first, second] = ["x", "y"].map(
    (id) => reader.read({ id, service: "s", cpuMillis: 5 }).ask,
  );
  assert.equal(first?.requests, second?.requests, "copies share what they have in common");
});

function outcomeOf(read: () => TraceAsk): unknown {
  try {
    return read();
  } catch (error) {
    if (error instanceof TraceError) return error.message;
    throw error;
  }
}

test("departures come in the order of time, then of adding", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (times) => {
      const departures = new Departures();
      for (const [index, atMs] of times.entries()) departures.add(atMs, String(index));
      const out: string[] = [];
      for (let next = departures.next(); next !== undefined; next = departures.next()) {
        out.push(next.id);
        departures.remove();
      }
      const sorted = [...times.keys()].sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b);
      assert.deepEqual(out, sorted.map(String));
    }),
  );
});

const nodes = ["n0", "n1"].map((id) => readNode({ id, cpuMillis: 10 }).model);

function happenings(
  lines: readonly object[],
  failures: readonly { node: string; atMs: number; backMs: number | undefined }[] = [],
) {
  const asks: readonly TraceAsk[] = lines.map(readAsk);
  const words: string[] = [];
  const onOutcome = (outcome: Outcome) => {
    const said = outcome.kind === "refused" ? refusalWords(outcome.refusal()).join() : outcome.kind;
    words.push(`${outcome.atMs} ${outcome.ask.ask.id} ${said}`);
  };
  const engine = engineFor(
    nodes,
    asks.map(({ ask }) => ask),
    { seed: 1, strategy: "tightest" },
  );
  const replay = new Replay({ engine, asks, failures, onOutcome });
  replay.run();
  return { words, replay };
}

test("a decision says why where that is asked for", () => {
  const options = { seed: 1, strategy: "room", explain: true } as const;
  const engine = engineFor(nodes, [], options);
  const asks = ["a", "b"].map((id) => readAsk({ id, service: "s", cpuMillis: 5 }).ask);
  const whys = asks.map((ask) => engine.decide([ask], 0)[0]?.why?.replace(/^n[01]/, "n"));
  assert.deepEqual(whys, ["n: room, 500 points by the node", "n: room, 500 points by the node"]);
});

test("who leaves makes room for who comes at the same moment", () => {
  const { words, replay } = happenings([
    { id: "a", cpuMillis: 10, arriveMs: 0, departMs: 5 },
    { id: "b", cpuMillis: 10, arriveMs: 0 },
    { id: "c", cpuMillis: 8, arriveMs: 4 },
    { id: "d", cpuMillis: 8, arriveMs: 5 },
  ]);
  assert.deepEqual(words, [
    "0 a placed",
    "0 b placed",
    "4 c 2 lack cpu (need 0.008, none is free)",
    "5 d placed",
  ]);
  assert.equal(replay.hostsUsedMost, 2);
});

test("tasks of a node that fails ask again, and it takes tasks again when it is back", () => {
  const asks = ["a", "b", "c"].map((id, index) => ({ id, cpuMillis: 4, arriveMs: index * 10 }));
  const [on] = [...happenings(asks).replay.placed.values()].map(({ node }) => node);
  const { words } = happenings(asks, [{ node: on ?? "", atMs: 5, backMs: 15 }]);
  assert.deepEqual(words, ["0 a placed", "5 a placed", "10 b placed", "20 c placed"]);
});

for (const service of ["typed arrays", "the transaction"]) {
  test(`what runs when a trace begins holds its place: ${service}`, () => {
    // A port makes the transaction decide.
    const port = service === "typed arrays" ? {} : { ports: [{ port: 80 }] };
    const held = [
      { ask: readAsk({ id: "a", cpuMillis: 8, departMs: 5 }), node: "n0" },
      { ask: readAsk({ id: "b", cpuMillis: 8 }), node: "n1" },
    ];
    const asks = [
      { id: "early", cpuMillis: 4, arriveMs: 1, ...port },
      { id: "late", cpuMillis: 4, arriveMs: 6 },
    ].map(readAsk);
    const words: string[] = [];
    const engine = engineFor(
      nodes,
      asks.map(({ ask }) => ask),
      { seed: 1, strategy: "tightest" },
    );
    const failures = [{ node: "n1", atMs: 7, backMs: undefined }];
    const onOutcome = ({ kind, atMs, ask }: Outcome) => words.push(`${atMs} ${ask.ask.id} ${kind}`);
    const replay = new Replay({ engine, asks, held, failures, onOutcome });
    replay.run();
    // a leaves and makes room; b is lost with its node and asks again, for what late has left of n0.
    assert.deepEqual(words, ["1 early refused", "6 late placed", "7 b refused"]);
    assert.deepEqual([...replay.placed.keys()], ["late"]);
    assert.equal(replay.hostsUsedMost, 2);
  });
}

/** Nodes where the ask would fit if everybody of lower priority went. */
function waysIn({ ask }: TraceAsk, replay: Replay): readonly string[] {
  const own = ask.priority ?? 50;
  return nodes.flatMap(({ id, cpuMillis }) => {
    const firm = [...replay.placed.values()].filter(
      (task) => task.node === id && (task.ask.ask.priority ?? 50) >= own,
    );
    const sum = firm.reduce((all, task) => all + (task.ask.ask.requests.cpuMillis ?? 0), 0);
    return sum + (ask.requests.cpuMillis ?? 0) <= cpuMillis ? [id] : [];
  });
}

test("who is displaced asks again, and nobody is refused who could have displaced somebody", () => {
  const work = fc.record({
    cpu: fc.integer({ min: 1, max: 10 }),
    priority: fc.constantFrom(10, 50, 90),
  });
  let displaced = 0;
  fc.assert(
    fc.property(fc.array(work, { minLength: 1, maxLength: 12 }), (works) => {
      const asks = works.map(({ cpu, priority }, at) =>
        readAsk({ id: `a${at}`, cpuMillis: cpu, priority }),
      );
      const engine = engineFor(nodes, [], { seed: 1, strategy: "tightest", preemption: {} });
      const ends = new Map<string, string>();
      const onOutcome = (outcome: Outcome) => {
        const { id, priority: own = 50 } = outcome.ask.ask;
        ends.set(id, outcome.kind);
        if (outcome.kind === "refused") assert.deepEqual(waysIn(outcome.ask, replay), []);
        if (outcome.kind !== "displaced") return;
        displaced++;
        const by = asks.find(({ ask }) => ask.id === outcome.by)?.ask.priority ?? 50;
        assert.ok(by > own, `${outcome.by} (${by}) displaced ${id} (${own})`);
      };
      const replay = new Replay({ engine, asks, failures: [], onOutcome });
      replay.run();
      // Everybody has a last word, and it is no displacement: who had to go was asked about again.
      for (const { ask } of asks) {
        assert.equal(replay.placed.has(ask.id) ? "placed" : "refused", ends.get(ask.id));
      }
      const used = Map.groupBy(replay.placed.values(), ({ node }) => node);
      for (const tasks of used.values()) {
        assert.ok(tasks.reduce((sum, { ask }) => sum + (ask.ask.requests.cpuMillis ?? 0), 0) <= 10);
      }
    }),
    { numRuns: Number(process.env["RUNS"] ?? 300) },
  );
  assert.ok(displaced > 50, `${displaced} displaced`);
});

test("a gang is decided when its last ask has come, whole or not at all", () => {
  const { words } = happenings([
    { id: "a", cpuMillis: 8, gang: "g", arriveMs: 0 },
    { id: "x", cpuMillis: 4, arriveMs: 1 },
    { id: "b", cpuMillis: 8, gang: "g", arriveMs: 2 },
    { id: "y", cpuMillis: 9, arriveMs: 3 },
  ]);
  assert.deepEqual(
    words.map((line) => line.slice(0, 10)),
    ["1 x placed", "2 a 2 lack", "2 b 2 lack", "3 y placed"],
  );
});

test("the sums tell how many hosts are needed, and what is free but of no use", () => {
  assert.equal(
    hostsNeeded(new Map([["cpu", 15]]), [
      new Map([["cpu", 10]]),
      new Map([["cpu", 4]]),
      new Map([["cpu", 10]]),
    ]),
    2,
  );
  // What no host limits (processes here) needs no further host, and has no share.
  const placed = [{ node: "n0", requests: { cpuMillis: 9, pids: 3 } }];
  const gpu = { cpuMillis: 1, devices: [{ kind: "gpu" }] };
  assert.deepEqual(useOf(nodes, placed, [gpu]).fragmentation, { cpu: 1 });
  assert.equal(useOf(nodes, placed, []).lowerBound, 1);
  assert.equal(useOf(nodes, placed, []).use["pids"], undefined);
  const { use, fragmentation, hostsUsed } = useOf(nodes, placed, [{ cpuMillis: 2 }]);
  assert.deepEqual(use["cpu"], { used: 9, total: 20, share: 0.45 });
  assert.equal(hostsUsed, 1);
  // 1 of the 11 that are free lies where an ask of 2 does not fit.
  assert.ok(Math.abs((fragmentation["cpu"] ?? 0) - 1 / 11) < 1e-12);
});

test("a large ask that waits among small ones starves, unless a node is held for it", () => {
  const nodes = [makeNode("a", { cpuMillis: 4_000 }), makeNode("b", { cpuMillis: 4_000 })];
  // Eight small tasks at first, then one leaves and another comes each second.
  const small = Array.from({ length: 80 }, (_, index): TraceAsk => {
    const arriveMs = index < 8 ? 0 : (index - 7) * 1_000;
    const ask = makeAsk(`small.${index}`, { requests: { cpuMillis: 1_000 } });
    const departMs = index < 8 ? (index + 1) * 1_000 : arriveMs + 8_000;
    return { ask, arriveMs, departMs, minDomains: new Map() };
  });
  const ask = makeAsk("large", { requests: { cpuMillis: 4_000 } });
  const large: TraceAsk = { ask, arriveMs: 0, departMs: 5_000, minDomains: new Map() };
  const asks = [...small.slice(0, 8), large, ...small.slice(8)];
  const run = (more: object, waits: boolean) => {
    const options = { seed: 1, strategy: "room", ...more } as const;
    const all = asks.map((each) => each.ask);
    const told: string[] = [];
    new Replay({
      ...{ engine: engineFor(nodes, all, options), asks, failures: [], waits },
      onOutcome: ({ kind, ask: each, atMs }) => {
        if (each.ask.id === "large") told.push(`${kind} at ${atMs / 1_000} s`);
      },
    }).run();
    return told;
  };
  assert.deepEqual(run({}, false), ["refused at 0 s"]);
  const [starved] = run({}, true);
  assert.match(starved ?? "", /^placed at (7\d|8\d) s$/, "when the small ones have stopped coming");
  const reservations = { afterMs: 3_000, heldMax: 1, forgetAfterMs: Number.POSITIVE_INFINITY };
  const [placed] = run({ reservations }, true);
  assert.match(placed ?? "", /^placed at 1?\d s$/);
});
