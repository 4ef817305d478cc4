/** Whole chains on the store in memory with model agents: a file goes in, healthy copies come out. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, Prng, silentLogger } from "@berth/base";
import { keys } from "@berth/protocol";
import { ControlPlane } from "./control-plane.ts";
import {
  removeStack,
  restartService,
  rollbackStack,
  scaleService,
} from "./release/stack-commands.ts";
import { ModelCluster, SHOP } from "./testing/model-cluster.ts";
import { EXCLUSIVE_VOLUME, serviceSpec, stackSpec, stopFirst, writes } from "./testing/specs.ts";

test("a file becomes healthy copies with addresses of their own", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1", "node-2");
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 3 }) }));
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  assert.equal(cluster.ready("web"), 3);
  assert.equal(cluster.stack()?.goodRelease, 1);
  const addresses = cluster.live("web").map(({ task }) => task.attachments[0]?.address);
  assert.deepEqual(addresses.sort(), ["10.64.0.2", "10.64.0.3", "10.64.0.4"]);
  assert.deepEqual(new Set(cluster.live("web").map(({ task }) => task.node)).size, 2);
});

test("the same file again changes nothing", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const spec = stackSpec({ web: serviceSpec({ copies: 2 }) });
  await cluster.deploy(spec);
  await cluster.until(() => cluster.rollout() === "complete", "the first rollout is complete");
  const before = cluster.live("web").map(({ task }) => task.id);
  const again = await cluster.deploy(spec);
  const row = () =>
    cluster.plane.state.view.deployments.get(keys.deployment(SHOP, again.id))?.value;
  await cluster.until(() => row()?.state === "unchanged", "the deployment is unchanged");
  await cluster.pass(60_000);
  assert.deepEqual(
    cluster.live("web").map(({ task }) => task.id),
    before,
  );
  assert.equal(cluster.stack()?.release, 1);
});

test("a rolling update never has fewer ready copies than wanted", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1", "node-2");
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 3 }) }));
  await cluster.until(() => cluster.rollout() === "complete", "the first rollout is complete");
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 3, environment: { V: "2" } }) }));
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  await cluster.until(() => {
    least = Math.min(least, cluster.ready("web"));
    most = Math.max(most, cluster.live("web").length);
    return cluster.stack()?.goodRelease === 2;
  }, "release 2 is good");
  assert.equal(least, 3);
  // One at a time beside the three; one that is stopping may still be there.
  assert.ok(most <= 5, `${most} live copies at once`);
  await cluster.pass(10_000);
  assert.deepEqual(
    cluster.live("web").map(({ task }) => task.release),
    [2, 2, 2],
  );
});

test("a crash loop is rolled back with its exit code and last lines", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 2 }) }));
  await cluster.until(() => cluster.rollout() === "complete", "the first rollout is complete");
  const bad = serviceSpec({ copies: 2, environment: { BEHAVE: "crash" } });
  await cluster.deploy(stackSpec({ web: bad }));
  await cluster.until(() => cluster.rollout() === "rolled-back", "the rollout is rolled back");
  const stack = cluster.stack();
  assert.equal(stack?.release, 1);
  assert.equal(stack?.rollout?.release, 2);
  assert.equal(stack?.rollout?.failure?.exitCode, 1);
  assert.deepEqual(stack?.rollout?.failure?.logTail, ["first line", "Error: it broke"]);
  assert.match(stack?.rollout?.failure?.reason ?? "", /^web-1 on node-1 exited 1, 3 times in /);
  assert.equal(cluster.ready("web"), 2);
});

test("what never worked stays failed, and a better file mends it", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(stackSpec({ web: serviceSpec({ environment: { BEHAVE: "reject" } }) }));
  await cluster.until(() => cluster.rollout() === "failed", "the rollout has failed");
  assert.match(cluster.stack()?.rollout?.failure?.reason ?? "", /could not be run: no such image/);
  await cluster.deploy(stackSpec({ web: serviceSpec() }));
  await cluster.until(() => cluster.rollout() === "complete", "the next rollout is complete");
});

test("jobs come first and run once", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const job = { restart: { policy: "no" }, environment: { BEHAVE: "exit-0" } } as const;
  const spec = (version: string) =>
    stackSpec({
      migrate: serviceSpec(job),
      web: serviceSpec({
        environment: { V: version },
        dependsOn: { migrate: { condition: "completed", required: true } },
      }),
    });
  await cluster.deploy(spec("1"));
  await cluster.until(() => cluster.live("migrate").length === 1, "the job began");
  assert.equal(cluster.all("web").length, 0);
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  await cluster.deploy(spec("2"));
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  await cluster.pass(600_000);
  assert.equal(cluster.all("migrate").length, 1);
});

test("a job that fails fails the release before anything else has started", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const spec = stackSpec({
    migrate: serviceSpec({ restart: { policy: "no" }, environment: { BEHAVE: "exit-1" } }),
    web: serviceSpec({ dependsOn: { migrate: { condition: "completed", required: true } } }),
  });
  await cluster.deploy(spec);
  await cluster.until(() => cluster.rollout() === "failed", "the rollout has failed");
  assert.equal(cluster.stack()?.rollout?.failure?.reason, "migrate-1 on node-1 exited 1");
  await cluster.pass(120_000);
  assert.equal(cluster.all("migrate").length, 1);
  assert.equal(cluster.all("web").length, 0);
});

test("an exclusive volume has one live user through every change", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1", "node-2");
  const spec = (version: string) =>
    stackSpec(
      {
        db: serviceSpec({
          mounts: writes("data"),
          update: stopFirst(),
          environment: { V: version },
        }),
      },
      { volumes: { data: EXCLUSIVE_VOLUME } },
    );
  await cluster.deploy(spec("1"));
  await cluster.until(() => cluster.rollout() === "complete", "the first rollout is complete");
  const home = cluster.live("db")[0]?.task.node;
  const never = () => assert.ok(cluster.live("db").length <= 1, cluster.picture());
  await cluster.deploy(spec("2"));
  await cluster.until(() => {
    never();
    return cluster.stack()?.goodRelease === 2;
  }, "release 2 is good");
  await cluster.commit(restartService(cluster.plane.state.view, { ...SHOP, service: "db" }));
  await cluster.until(() => {
    never();
    return cluster.live("db")[0]?.task.restartCount === 1 && cluster.ready("db") === 1;
  }, "the restarted copy is ready");
  assert.equal(cluster.live("db")[0]?.task.node, home);
});

test("copies move away from a lost node at once; those with a volume wait for it", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1", "node-2", "node-3");
  await cluster.deploy(
    stackSpec(
      {
        db: serviceSpec({ mounts: writes("data"), update: stopFirst() }),
        web: serviceSpec({ copies: 3 }),
      },
      { volumes: { data: EXCLUSIVE_VOLUME } },
    ),
  );
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  const home = cluster.live("db")[0]?.task.node ?? "";
  cluster.agents.get(home)?.kill();
  await cluster.pass(9_000);
  assert.equal(cluster.ready("web"), 3);
  assert.ok(cluster.live("web").every(({ task }) => task.node !== home));
  assert.equal(cluster.live("db").length, 1);
  const explained = cluster.plane.explain({ ...SHOP, service: "db" });
  assert.equal(explained.kind, "explained");
  const waits = explained.kind === "explained" ? explained.explanation.waits : [];
  assert.match(
    waits[0]?.message ?? "",
    /db-1 is lost with node-\d and waits for it: its volume data lives there/,
  );
  await cluster.agents.get(home)?.start();
  await cluster.pass(5_000);
  assert.equal(cluster.ready("db"), 1);
  assert.equal(cluster.ready("web"), 3);
});

test("one machine: an agent that is away for a while costs nothing", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 2 }) }));
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  const before = cluster.live("web").map(({ task }) => task.id);
  cluster.agents.get("node-1")?.kill();
  await cluster.pass(60_000);
  await cluster.agents.get("node-1")?.start();
  await cluster.pass(20_000);
  assert.deepEqual(
    cluster.live("web").map(({ task }) => task.id),
    before,
  );
});

test("the number of copies is the user's until the file's changes", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const spec = (copies: number, v: string) =>
    stackSpec({ web: serviceSpec({ copies, environment: { V: v } }) });
  await cluster.deploy(spec(1, "1"));
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  const request = { scope: { ...SHOP, service: "web" }, copies: 4, source: "user" } as const;
  await cluster.commit(scaleService(cluster.plane.state.view, request));
  await cluster.until(() => cluster.ready("web") === 4, "four copies are ready");
  await cluster.deploy(spec(1, "2"));
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  await cluster.pass(5_000);
  assert.equal(cluster.ready("web"), 4);
  await cluster.deploy(spec(2, "2"));
  await cluster.until(() => cluster.stack()?.goodRelease === 3, "release 3 is good");
  await cluster.pass(5_000);
  assert.equal(cluster.ready("web"), 2);
});

test("a stack goes with everything but its volumes", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(
    stackSpec(
      {
        db: serviceSpec({ mounts: [...writes("data"), ...writes("cache")], update: stopFirst() }),
        web: serviceSpec({ ports: [{ target: 80, published: 8081, protocol: "tcp" }] }),
      },
      { volumes: { data: EXCLUSIVE_VOLUME, cache: EXCLUSIVE_VOLUME } },
    ),
  );
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  const { view } = cluster.plane.state;
  const now = cluster.clock.now();
  await cluster.commit(removeStack(view, { scope: SHOP, volumes: ["cache"], now }));
  await cluster.until(() => cluster.stack() === undefined, "the stack is gone");
  assert.deepEqual(
    view.volumes.all().map(({ value }) => value.name),
    ["data"],
  );
  for (const table of [view.tasks, view.statuses, view.networks, view.releases, view.claims]) {
    assert.deepEqual(
      table.all().map(({ key }) => key),
      [],
    );
  }
});

test("a person goes back to the good release before", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const spec = (v: string) => stackSpec({ web: serviceSpec({ environment: { V: v } }) });
  for (const [index, version] of ["1", "2"].entries()) {
    await cluster.deploy(spec(version));
    await cluster.until(
      () => cluster.stack()?.goodRelease === index + 1,
      `release ${version} is good`,
    );
  }
  const now = cluster.clock.now();
  await cluster.commit(rollbackStack(cluster.plane.state.view, { scope: SHOP, now }));
  await cluster.until(() => cluster.rollout() === "complete", "the rollback is complete");
  assert.equal(cluster.stack()?.release, 1);
  await cluster.pass(5_000);
  assert.deepEqual(cluster.live("web").map(({ task }) => task.template).length, 1);
});

test("a second server takes over; the first cannot write any more", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(stackSpec({ web: serviceSpec({ copies: 2 }) }));
  await cluster.until(() => cluster.live("web").length === 2, "copies were started");
  const { clock, store } = cluster;
  const prng = new Prng(2);
  const log = silentLogger;
  const driver = new Driver({ clock, log, prng });
  const second = new ControlPlane({
    store,
    clock,
    log,
    prng,
    driver,
    // The model of an agent renews its lease at the first server only.
    settings: { ...cluster.plane.settings, leaseMs: 60_000 },
  });
  let leads = false;
  void second.start().then(() => {
    leads = true;
  });
  await cluster.until(() => leads, "the second leads");
  // Both see the loss of a copy; only one replacement may come of it.
  const key = cluster.live("web").map(({ task }) => keys.status(task, task.id))[0] ?? "";
  const status = cluster.plane.state.view.statuses.get(key)?.value;
  const ended = JSON.stringify({ ...status, state: "ended", outcome: "stopped", sequence: 99 });
  await store.txn({ compare: [], then: [{ kind: "put", key, value: ended }] });
  await cluster.until(
    () => cluster.ready("web") === 2 && cluster.all("web").length === 3,
    "it is replaced",
  );
  await cluster.pass(30_000);
  assert.equal(cluster.all("web").length, 3);
  const leader = cluster.plane.state.view.leader.get(keys.leader())?.value;
  assert.equal(leader?.server, second.state.view.leader.get(keys.leader())?.value.server);
  assert.equal(second.clusterId(), cluster.plane.clusterId());
  assert.equal(cluster.rollout(), "complete");
});

test("a network of another stack can be joined, and keeps its owner until it is left", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(stackSpec({ db: serviceSpec() }));
  await cluster.until(() => cluster.rollout() === "complete", "the owner is there");
  const guest = { ...SHOP, stack: "guest" };
  const joined = { internal: false, labels: {}, external: { stack: "shop", name: "default" } };
  const spec = stackSpec({ web: serviceSpec() }, { networks: { default: joined } });
  await cluster.deploy(spec, guest);
  await cluster.until(() => cluster.rollout(guest) === "complete", "the guest is there");
  const { view } = cluster.plane.state;
  const used = cluster.live("web", guest).concat(cluster.live("db"));
  assert.equal(new Set(used.map(({ task }) => task.attachments[0]?.networkId)).size, 1);
  const refused = removeStack(view, { scope: SHOP, volumes: [], now: cluster.clock.now() });
  assert.equal(refused.kind === "refused" && refused.code, "still_in_use");
  const removal = (scope: typeof SHOP) =>
    cluster.commit(removeStack(view, { scope, volumes: [], now: cluster.clock.now() }));
  await removal(guest);
  await cluster.until(() => cluster.stack(guest) === undefined, "the guest is gone");
  await cluster.pass(40_000);
  await removal(SHOP);
  await cluster.until(() => cluster.stack() === undefined, "the owner is gone");
});

test("pods live together and go together", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1", "node-2");
  const spec = (version: string) =>
    stackSpec({
      app: serviceSpec({ copies: 2, environment: { V: version } }),
      sidecar: serviceSpec({ copies: 2, networks: {}, podWith: "app", podShares: ["network"] }),
    });
  await cluster.deploy(spec("1"));
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  const together = () => {
    const apps = new Map(cluster.all("app").map(({ task }) => [task.id, task]));
    for (const { task } of cluster.live("sidecar")) {
      const holder = apps.get(task.podTask ?? "");
      assert.equal(task.node, holder?.node, cluster.picture());
      assert.deepEqual(task.attachments, []);
    }
  };
  together();
  await cluster.deploy(spec("2"));
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  await cluster.pass(5_000);
  together();
  assert.equal(cluster.ready("app"), 2);
  assert.equal(cluster.ready("sidecar"), 2);
  assert.deepEqual(
    cluster.live("app").map(({ task }) => task.release),
    [2, 2],
  );
});
