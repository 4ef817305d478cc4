/** A model that is kept answers as one that is made anew, whatever has changed since it was made. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Prng } from "@berth/base";
import { keys, type Node, type Task } from "@berth/protocol";
import { type Ask, type Strategy, schedule } from "@berth/scheduler";
import {
  type ApiFixture,
  nodeRow,
  nodeStatusRow,
  SCOPE,
  startFixture,
  statusRow,
  taskRow,
} from "../api/api-fixture.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { clusterModel } from "./cluster-model.ts";
import { placingOptions } from "./place-starts.ts";
import { StandingCluster } from "./standing-cluster.ts";

const RUNS = 40;
const STEPS = 50;
const NODES = ["node-1", "node-2", "node-3"];

class Changes {
  readonly #fixture: ApiFixture;
  readonly #prng: Prng;
  readonly #tasks = new Map<string, Task>();

  constructor(fixture: ApiFixture, prng: Prng) {
    this.#fixture = fixture;
    this.#prng = prng;
  }

  async next(): Promise<void> {
    const prng = this.#prng;
    const id = `task${prng.int(1, 8)}`;
    const task = this.#tasks.get(id);
    const choice = prng.int(0, 9);
    if (choice === 9) return this.#node();
    if (task === undefined) return this.#write(this.newTask(id));
    if (choice <= 2) return this.#write({ ...task, desired: "stopped" });
    if (choice <= 6) {
      const state = prng.pick(["running", "exited", "ended"] as const);
      const status = statusRow(id, { node: task.node, state, sequence: prng.int(1, 99) });
      return this.#fixture.put(keys.status(task, id), status);
    }
    this.#tasks.delete(id);
    const gone = [keys.task(task, id), keys.status(task, id)];
    await this.#fixture.store.txn({
      compare: [],
      then: gone.map((key) => ({ kind: "delete", key })),
    });
  }

  /** What some of the tasks use, wherever they run: the others are nobody's. */
  #use() {
    const ids = [...this.#tasks.keys()].filter(() => this.#prng.chance(0.7));
    return Object.fromEntries(
      ids.map((id) => [id, { cpuMillis: this.#prng.int(0, 9) * 50, memoryBytes: 1e7 }]),
    );
  }

  newTask(id: string): Task {
    const prng = this.#prng;
    const requests = { cpuMillis: prng.int(1, 6) * 100, memoryBytes: 1e8 };
    const service = prng.pick(["web", "db"]);
    const device = { kind: "fpga", model: "", id: "0", paths: [] };
    const devices = prng.chance(0.3) ? { devices: [{ ...device, shareMillis: 300 }] } : {};
    return taskRow(id, { service, node: prng.pick([...NODES, "node-9"]), requests, ...devices });
  }

  async #write(task: Task): Promise<void> {
    this.#tasks.set(task.id, task);
    await this.#fixture.put(keys.task(task, task.id), task);
  }

  async #node(): Promise<void> {
    const prng = this.#prng;
    const name = prng.pick(NODES);
    if (prng.chance(0.1)) {
      const key = keys.node(name);
      await this.#fixture.store.txn({ compare: [], then: [{ kind: "delete", key }] });
      return;
    }
    if (prng.chance(0.4)) {
      const cpuMillis = prng.int(1, 2) * 1_000;
      const { capacity } = nodeStatusRow();
      const status = nodeStatusRow({
        ...{ name, capacity: { ...capacity, cpuMillis }, use: this.#use() },
        devices: Array.from({ length: prng.int(0, 2) }, (_, at) => {
          return { kind: "fpga", model: "", id: String(at), paths: [] };
        }),
      });
      return this.#fixture.put(keys.nodeStatus(name), { ...status, reportedAt: prng.int(1, 99) });
    }
    const node: Node = {
      ...nodeRow(name),
      labels: prng.chance(0.5) ? { zone: prng.pick(["a", "b"]) } : {},
      availability: prng.pick(["active", "draining"]),
      contact: prng.pick(["up", "up", "down"]),
    };
    return this.#fixture.put(keys.node(name), node);
  }
}

const ASKS: readonly Ask[] = ["web", "web", "db"].map((service, index) => ({
  id: `ask${index}`,
  service: `${SCOPE.project}/${SCOPE.environment}/${SCOPE.stack}/${service}`,
  slot: index + 1,
  requests: {
    ...{ cpuMillis: 300, memoryBytes: 1e8 },
    ...(index === 2 ? { devices: [{ kind: "fpga", shareMillis: 500 }] } : {}),
  },
  spread: [{ level: "zone", required: false }],
  ...(index === 1 ? { overcommit: { cpu: 200 } } : {}),
}));

test("a model that is kept places as one that is made anew", async () => {
  const optionsOf = (strategy: Strategy) => placingOptions(DEFAULT_SETTINGS, strategy);
  let placed = 0;
  let refused = 0;
  for (let seed = 0; seed < RUNS; seed++) {
    const prng = new Prng(seed);
    const fixture = await startFixture({ clock: new ManualClock() });
    const { view } = fixture.state;
    const standing = new StandingCluster(fixture.state, optionsOf);
    const changes = new Changes(fixture, prng);
    for (const name of NODES) {
      await fixture.put(keys.node(name), nodeRow(name));
      await fixture.put(keys.nodeStatus(name), nodeStatusRow({ name }));
    }
    for (let step = 0; step < STEPS; step++) {
      await changes.next();
      if (prng.chance(0.5)) continue;
      // One that is on its way, and one that has come meanwhile.
      const inFlight = [changes.newTask("on-its-way"), ...view.tasks.all().slice(0, 1)].map(
        (task) => ("value" in task ? task.value : task),
      );
      const strategy = prng.pick(["balanced", "tightest"] as const);
      const plan = standing.whatIf(strategy, inFlight, (trial) => trial.schedule(ASKS));
      const anew = schedule(clusterModel(view, inFlight), ASKS, optionsOf(strategy));
      assert.deepEqual(plan, anew, `seed ${seed}`);
      placed += plan.placements.length;
      refused += plan.refusals.length;
    }
    await fixture.stop();
  }
  assert.ok(placed > RUNS * 10 && refused > RUNS, `${placed} placed, ${refused} refused`);
});
