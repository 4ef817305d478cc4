/**
 * Properties of the whole chain over plain tables, with agents that obey and events in any order.
 *
 * Never: two live users of an exclusive volume, more live copies of a slot than the update rules allow,
 * two tasks with one address, a task whose claims somebody else holds. Always: a look after a look finds
 * nothing to do. At last: when faults stop, everything is as the file says.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "@berth/base";
import { isFinal, keys, serviceKey, stackKey, type Task, type TaskStatus } from "@berth/protocol";
import fc from "fast-check";
import { packUnits } from "./plan/unit.ts";
import { acceptDeployment } from "./release/accept-deployment.ts";
import { deploymentStep } from "./release/deployment-step.ts";
import { restartService, scaleService } from "./release/stack-commands.ts";
import { EXCLUSIVE_VOLUME, serviceSpec, stackSpec, stopFirst, writes } from "./testing/specs.ts";
import { TableCluster } from "./testing/table-cluster.ts";

const SCOPE = { project: "default", environment: "main", stack: "shop" };
const NODES = ["n1", "n2", "n3"];
/** Other seeds and more runs for a longer search: a failing seed is printed and can be given again. */
const SEED = Number(process.env["BERTH_PROPERTY_SEED"] ?? 20_261_120);
const RUNS = Number(process.env["BERTH_PROPERTY_RUNS"] ?? 60);
/** Looks at one instant after which a stack must be at rest. */
const LOOKS_MAX = 30;

/** What may happen between two looks. */
type Step =
  | { readonly kind: "deploy"; readonly version: number; readonly broken: boolean }
  | { readonly kind: "scale"; readonly copies: number }
  | { readonly kind: "restart"; readonly service: string }
  | { readonly kind: "agents"; readonly seed: number }
  | { readonly kind: "crash"; readonly seed: number }
  | { readonly kind: "node"; readonly node: number; readonly contact: "up" | "down" }
  | { readonly kind: "drain"; readonly node: number; readonly away: boolean }
  | { readonly kind: "pass"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("deploy" as const),
      version: fc.nat(3),
      broken: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("scale" as const), copies: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("restart" as const),
      service: fc.constantFrom("web", "db", "side"),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant("agents" as const), seed: fc.nat(1_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const), seed: fc.nat(1_000) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("node" as const),
      node: fc.nat(2),
      contact: fc.constantFrom("up" as const, "down" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("drain" as const),
      node: fc.nat(2),
      away: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(100, 1_000, 6_000, 31_000),
    }),
  },
);

class World {
  readonly cluster = new TableCluster(7, { addressQuarantineMs: 30_000 });
  #deployments = 0;
  broken = false;

  constructor() {
    for (const node of NODES) this.cluster.addNode(node);
  }

  deploy(version: number, broken: boolean): void {
    const { cluster } = this;
    const env = { V: String(version), BROKEN: String(broken) };
    const spec = stackSpec(
      {
        init: serviceSpec({
          restart: { policy: "no" },
          mounts: writes("data"),
          update: stopFirst(),
          environment: { V: String(version % 2) },
        }),
        db: serviceSpec({
          mounts: writes("data"),
          update: stopFirst({ minHealthyMs: 1_000 }),
          environment: { V: String(version % 2) },
          dependsOn: { init: { condition: "completed", required: true } },
        }),
        web: serviceSpec({ copies: 3, environment: env }),
        pod: serviceSpec({ copies: 2, environment: { V: String(version) } }),
        side: serviceSpec({ copies: 2, podWith: "pod", podShares: ["network"], networks: {} }),
      },
      { volumes: { data: EXCLUSIVE_VOLUME } },
    );
    const id = `deploy${String(++this.#deployments).padStart(4, "0")}`;
    const request = { scope: SCOPE, spec, secrets: {}, actor: "me", now: cluster.now, id };
    const decision = acceptDeployment(cluster.view, request, cluster.settings);
    assert.equal(decision.kind, "accepted");
    if (decision.kind === "accepted") assert.ok(cluster.apply(decision.txn));
    this.broken = broken;
    this.deployments();
  }

  deployments(): void {
    const { cluster } = this;
    for (const { key } of cluster.view.deployments.by("state", "pending")) {
      for (let turn = 0; turn < 4; turn++) {
        const deployment = cluster.view.deployments.get(key);
        if (deployment?.value.state !== "pending") break;
        const { view, now, settings } = cluster;
        const unit = deploymentStep({
          view,
          deployment,
          now,
          newId: cluster.ids.identifier,
          settings,
        });
        for (const { txn } of unit === undefined ? [] : packUnits([unit], [])) cluster.apply(txn);
        cluster.finishOperations();
      }
    }
  }

  /** Agents of nodes in contact do something; `eager`: everything that there is to do. */
  agents(seed: number, eager: boolean): void {
    const prng = new Prng(seed);
    for (const { value: task } of this.cluster.view.tasks.all()) {
      const node = this.cluster.view.nodes.get(keys.node(task.node))?.value;
      if (node?.contact !== "up" || (!eager && !prng.chance(0.5))) continue;
      const status = this.status(task);
      if (status !== undefined && isFinal(status.state)) continue;
      const mustStop = task.desired === "stopped" || task.verdict !== undefined;
      if (mustStop) this.say(task, { state: "removed", outcome: "stopped", ready: false });
      else this.goOn(task, status);
    }
  }

  goOn(task: Task, status: TaskStatus | undefined): void {
    const { now } = this.cluster;
    const release = this.cluster.view.releases.get(keys.release(SCOPE, task.release))?.value;
    const isBroken = release?.services[task.service]?.spec.environment["BROKEN"] === "true";
    if (task.service === "init")
      this.say(task, { state: "ended", outcome: "complete", exitCode: 0, exitedAt: now });
    else if (isBroken) {
      const recentFailures = (status?.recentFailures ?? 0) + 1;
      this.say(task, {
        state: "exited",
        attempt: recentFailures,
        exitCode: 1,
        recentFailures,
        ready: false,
      });
    } else if (!status?.ready)
      this.say(task, { state: "running", startedAt: now, ready: true, readyAt: now });
  }

  crash(seed: number): void {
    const tasks = this.cluster.view.tasks.all().filter(({ value }) => {
      const status = this.status(value);
      return (
        status?.state === "running" &&
        this.cluster.view.nodes.get(keys.node(value.node))?.value.contact === "up"
      );
    });
    const found = tasks[seed % Math.max(1, tasks.length)];
    if (found !== undefined)
      this.say(found.value, { state: "exited", ready: false, exitCode: 137 });
  }

  say(task: Task, news: Partial<TaskStatus>): void {
    const before = this.status(task);
    const base: TaskStatus = {
      task: task.id,
      node: task.node,
      sequence: (before?.sequence ?? 0) + 1,
      attempt: 1,
      state: "assigned",
      ready: false,
      recentFailures: 0,
      updatedAt: this.cluster.now,
    };
    this.cluster.put("status", keys.status(task, task.id), {
      ...base,
      ...before,
      ...news,
      sequence: base.sequence,
      updatedAt: base.updatedAt,
    });
  }

  status(task: Task): TaskStatus | undefined {
    return this.cluster.view.statuses.get(keys.status(task, task.id))?.value;
  }

  setNode(
    index: number,
    change: { contact?: "up" | "down"; availability?: "active" | "draining" },
  ): void {
    const key = keys.node(NODES[index] ?? "n1");
    const node = this.cluster.view.nodes.get(key)?.value;
    if (node !== undefined) this.cluster.put("node", key, { ...node, ...change });
  }

  do(what: Step): void {
    const { cluster } = this;
    const { view } = cluster;
    switch (what.kind) {
      case "deploy":
        this.deploy(what.version, what.broken);
        break;
      case "scale": {
        const request = {
          scope: { ...SCOPE, service: "web" },
          copies: what.copies,
          source: "user",
        } as const;
        const decision = scaleService(view, request);
        if (decision.kind === "accepted") cluster.apply(decision.txn);
        break;
      }
      case "restart": {
        const decision = restartService(view, { ...SCOPE, service: what.service });
        if (decision.kind === "accepted") cluster.apply(decision.txn);
        break;
      }
      case "agents":
        this.agents(what.seed, false);
        break;
      case "crash":
        this.crash(what.seed);
        break;
      case "node":
        this.setNode(what.node, { contact: what.contact });
        break;
      case "drain":
        this.setNode(what.node, { availability: what.away ? "draining" : "active" });
        break;
      case "pass":
        cluster.now += what.ms;
        break;
    }
  }

  /** Looks until at rest. Every look must leave the cluster safe. */
  look(): void {
    this.deployments();
    for (let look = 0; look < LOOKS_MAX; look++) {
      const round = this.cluster.look(SCOPE);
      this.assertSafe();
      if (round === undefined || round.writes === 0) return;
    }
    assert.fail("not at rest: a look always finds something to do");
  }

  mayLive(task: Task): boolean {
    const status = this.status(task);
    return status === undefined || !isFinal(status.state);
  }

  assertSafe(): void {
    const { view } = this.cluster;
    const tasks = view.tasks.all().map(({ value }) => value);
    const live = tasks.filter((task) => this.mayLive(task));
    const writers = live.filter((task) => task.exclusive);
    assert.ok(
      writers.length <= 1,
      `two users of a volume: ${writers.map(({ id, service }) => `${service} ${id}`)}`,
    );
    const slots = new Map<string, number>();
    for (const task of live) {
      // Given up with their nodes: free ones may be doubled, that is what free means.
      if (task.verdict !== undefined) continue;
      const place = `${serviceKey(task)}/${task.slot}/${task.podTask ?? ""}`;
      slots.set(place, (slots.get(place) ?? 0) + 1);
    }
    for (const [place, count] of slots) {
      const most =
        place.includes("/db/") || place.includes("/init/") || place.includes("/side/") ? 1 : 2;
      assert.ok(count <= most, `${count} live copies in ${place}`);
    }
    const addresses = live.flatMap(({ attachments }) => attachments.map(({ address }) => address));
    assert.equal(new Set(addresses).size, addresses.length, "two tasks have one address");
    for (const task of live) {
      const holder =
        task.podTask === undefined ? undefined : view.tasks.by("id", task.podTask)[0]?.value;
      if (holder !== undefined) assert.equal(holder.node, task.node, "a pod is on one node");
    }
  }

  /** Faults stop: nodes return, agents do their work, time passes. */
  calm(): void {
    for (const index of NODES.keys())
      this.setNode(index, { contact: "up", availability: "active" });
    this.deploy(99, false);
    for (let turn = 0; turn < 200; turn++) {
      this.look();
      this.agents(turn, true);
      this.cluster.now += 1_000;
    }
    this.look();
  }

  assertConverged(): void {
    const { view } = this.cluster;
    const stack = view.stacks.get(keys.stack(SCOPE))?.value;
    assert.equal(stack?.rollout?.state, "complete");
    assert.equal(stack?.goodRelease, stack?.release);
    const scale = view.scales.get(keys.scale({ ...SCOPE, service: "web" }))?.value.value;
    const wanted = { db: 1, web: scale ?? 3, pod: 2, side: 2 };
    for (const [service, copies] of Object.entries(wanted)) {
      const tasks = view.tasks
        .by("service", serviceKey({ ...SCOPE, service }))
        .map(({ value }) => value);
      const live = tasks.filter((task) => this.mayLive(task));
      assert.equal(live.length, copies, `copies of ${service}`);
      assert.ok(
        live.every((task) => this.status(task)?.ready),
        `${service} is ready`,
      );
    }
    const held = view.claims
      .by("stack", stackKey(SCOPE))
      .flatMap(({ key, value }) => (key.includes("exclusive-volume") ? (value.tasks ?? []) : []));
    const db = view.tasks
      .by("service", serviceKey({ ...SCOPE, service: "db" }))
      .map(({ value }) => value)
      .filter((task) => this.mayLive(task));
    assert.deepEqual(
      held,
      db.map(({ id }) => id),
      "the claim is the live task's",
    );
  }
}

test("safe at every look, at rest after each, and as the file says when faults stop", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const world = new World();
      world.deploy(0, false);
      world.look();
      for (const each of steps) {
        world.do(each);
        world.look();
      }
      world.calm();
      world.assertConverged();
    }),
    { seed: SEED, numRuns: RUNS },
  );
});
