/** Handlers by example: deploys with secrets, agents' reports, volumes, pages, the audit record. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "@berth/base";
import {
  type ApiClient,
  keys,
  type Network,
  type Operation,
  ProtocolError,
  type TaskStatus,
  type Volume,
} from "@berth/protocol";
import {
  AGENT_TOKEN,
  type ApiFixture,
  entriesOf,
  nodeRow,
  nodeStatusRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  settled,
  stackRow,
  stackSpec,
  startFixture,
  statusRow,
  taskRow,
} from "./api-fixture.ts";

async function setUp() {
  const clock = new ManualClock();
  const fixture = await startFixture({ clock });
  await fixture.put(keys.stack(SCOPE), stackRow());
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  const run = <T>(promise: Promise<T>) => settled(clock, promise);
  return {
    clock,
    fixture,
    run,
    admin: fixture.client(),
    agent: fixture.client({ token: AGENT_TOKEN }),
  };
}

function isCode(code: string, pattern = /./) {
  return (error: unknown) =>
    error instanceof ProtocolError && error.code === code && pattern.test(error.message);
}

describe("logins at registries", () => {
  const body = { username: "ci", password: "pa ss" };
  const server = "registry.local:5000";

  test("a project's own login goes before the cluster's; both lie sealed", async () => {
    const { fixture, admin, agent, run } = await setUp();
    await fixture.put(keys.task(SCOPE, "web00001"), taskRow("web00001"));
    await run(admin.call("putRegistry", { params: { server: "Registry.Local:5000" }, body }));
    const ask = (project: string) =>
      run(agent.call("getRegistryAuths", { params: { node: "node-1" }, query: { project } }));
    assert.deepEqual(await ask("default"), { auths: [{ server, ...body }] });
    const own = { username: "own", password: "other" };
    await run(
      admin.call("putRegistry", { params: { server }, body: { ...own, project: "default" } }),
    );
    assert.deepEqual(await ask("default"), { auths: [{ server, ...own }] });
    await assert.rejects(ask("stranger"), isCode("not_found", /no work of project stranger/));
    const stored = JSON.stringify((await fixture.store.list("")).entries);
    assert.ok(!stored.includes(body.password) && !stored.includes(own.password));
  });

  test("only administrators keep and forget logins; a list has no passwords", async () => {
    const { admin, agent, run } = await setUp();
    await assert.rejects(
      run(agent.call("putRegistry", { params: { server }, body })),
      isCode("forbidden"),
    );
    await run(admin.call("putRegistry", { params: { server }, body }));
    const { items } = await run(admin.call("listRegistries", { params: {}, query: {} }));
    assert.deepEqual(items, [{ server, username: "ci", updatedAt: items[0]?.updatedAt }]);
    await run(admin.call("removeRegistry", { params: { server }, query: {} }));
    await assert.rejects(
      run(admin.call("removeRegistry", { params: { server }, query: {} })),
      isCode("not_found"),
    );
  });
});

describe("parameters of a stack", () => {
  const generate = { kind: "password", length: 24 } as const;
  const wishes = {
    PASSWORD: { generate, secret: true },
    HOST: { given: "a.example", secret: false },
  };

  test("they are made up once, sealed, and the same at each later deploy", async () => {
    const { fixture, admin, run } = await setUp();
    const resolve = (body: object) =>
      run(admin.call("resolveParameters", { params: SCOPE, body: { wishes, ...body } }));
    const dry = await resolve({ dryRun: true });
    assert.deepEqual(await entriesOf(fixture.store, "parameter"), []);
    const first = await resolve({});
    const second = await resolve({});
    const password = first.values["PASSWORD"]?.value ?? "";
    assert.notEqual(dry.values["PASSWORD"]?.value, password);
    assert.deepEqual(second.values["PASSWORD"], {
      value: password,
      source: "kept",
      changed: false,
    });
    assert.equal((await entriesOf(fixture.store, "parameter")).length, 2);
    const all = JSON.stringify((await fixture.store.list("", { limit: 10_000 })).entries);
    assert.ok(!all.includes(password) && !all.includes("a.example"), "a value in the store");
  });

  test("two first deploys at once agree on one value", async () => {
    const { admin, run } = await setUp();
    const resolve = () => admin.call("resolveParameters", { params: SCOPE, body: { wishes } });
    const answers = await run(Promise.all(Array.from({ length: 5 }, resolve)));
    assert.equal(new Set(answers.map(({ values }) => values["PASSWORD"]?.value)).size, 1);
  });

  test("lists have no values, showing has; what is forgotten is made up anew", async () => {
    const { admin, agent, run } = await setUp();
    const body = { wishes };
    const first = await run(admin.call("resolveParameters", { params: SCOPE, body }));
    const { items } = await run(admin.call("listParameters", { params: SCOPE }));
    assert.deepEqual(
      items.map(({ name, source, secret, value }) => [name, source, secret, value]),
      [
        ["HOST", "given", false, undefined],
        ["PASSWORD", "generated", true, undefined],
      ],
    );
    const shown = await run(admin.call("showParameters", { params: SCOPE }));
    assert.equal(shown.items[1]?.value, first.values["PASSWORD"]?.value);
    await assert.rejects(run(agent.call("showParameters", { params: SCOPE })), isCode("forbidden"));
    const params = { ...SCOPE, parameter: "PASSWORD" };
    await run(admin.call("forgetParameter", { params }));
    await assert.rejects(run(admin.call("forgetParameter", { params })), isCode("not_found"));
    const second = await run(admin.call("resolveParameters", { params: SCOPE, body }));
    assert.notEqual(second.values["PASSWORD"]?.value, first.values["PASSWORD"]?.value);
  });

  test("more than a stack may have are refused, and nothing is kept", async () => {
    const { fixture, admin, run } = await setUp();
    const many = (from: number) =>
      Object.fromEntries(
        Array.from({ length: 60 }, (_, i) => [`P${from + i}`, { given: "x", secret: false }]),
      );
    await run(admin.call("resolveParameters", { params: SCOPE, body: { wishes: many(0) } }));
    await assert.rejects(
      run(admin.call("resolveParameters", { params: SCOPE, body: { wishes: many(60) } })),
      isCode("limit_exceeded"),
    );
    assert.equal((await entriesOf(fixture.store, "parameter")).length, 60);
  });
});

describe("deploying", () => {
  const secret = (text: string) => ({ content: Buffer.from(text).toString("base64") });

  test("secrets are sealed before the deployment names them, equal contents have one version", async () => {
    const { fixture, admin, run } = await setUp();
    const deploy = (text: string) => {
      const spec = stackSpec({ secrets: { pw: secret(text) } });
      return run(admin.call("deployStack", { params: SCOPE, body: { spec } }));
    };
    const first = await deploy("one");
    const second = await deploy("one");
    const third = await deploy("two");
    assert.equal(first.secrets["pw"]?.version, second.secrets["pw"]?.version);
    assert.notEqual(first.secrets["pw"]?.version, third.secrets["pw"]?.version);
    assert.equal((await entriesOf(fixture.store, "secret")).length, 2);
    assert.ok(!("secrets" in first.spec));
    const all = JSON.stringify((await fixture.store.list("", { limit: 10_000 })).entries);
    for (const text of ["one", "two"]) {
      assert.ok(!all.includes(Buffer.from(`${text}`).toString("base64")), "content in the store");
    }
  });

  test("what is refused leaves nothing behind, not even its secrets", async () => {
    const { fixture, admin, run } = await setUp();
    const services = {
      web: serviceSpec({ dependsOn: { nothere: { condition: "started", required: true } } }),
    };
    const spec = stackSpec({ services, secrets: { pw: secret("x") } });
    await assert.rejects(
      run(admin.call("deployStack", { params: SCOPE, body: { spec } })),
      isCode("invalid_stack"),
    );
    assert.deepEqual(await entriesOf(fixture.store, "secret"), []);
    assert.deepEqual(await entriesOf(fixture.store, "deployment"), []);
  });

  test("secrets that are no base64 or too large are refused by name", async () => {
    const { admin, run } = await setUp();
    const deploy = (content: string) => {
      const spec = stackSpec({ secrets: { pw: { content } } });
      return run(admin.call("deployStack", { params: SCOPE, body: { spec } }));
    };
    await assert.rejects(deploy("!!!"), isCode("invalid_request", /secret pw/));
    const large = Buffer.alloc(512_001).toString("base64");
    await assert.rejects(deploy(large), isCode("limit_exceeded", /secret pw has 512001 bytes/));
  });

  test("a plan changes nothing", async () => {
    const { fixture, admin, run } = await setUp();
    const before = await fixture.store.currentRevision();
    const spec = stackSpec({ services: { web: serviceSpec({ environment: { A: "1" } }) } });
    const plan = await run(admin.call("planStack", { params: SCOPE, body: { spec } }));
    assert.equal(plan.services[0]?.service, "web");
    assert.equal(await fixture.store.currentRevision(), before);
  });
});

describe("agents' reports", () => {
  const params = { node: "node-1" };

  async function withTask() {
    const all = await setUp();
    await all.fixture.put(keys.task(SCOPE, "task0001"), taskRow("task0001"));
    const report = (...statuses: TaskStatus[]) =>
      all.run(all.agent.call("reportTasks", { params, body: { statuses } }));
    const known = () => all.fixture.state.view.statuses.by("task", "task0001")[0]?.value;
    return { ...all, report, known };
  }

  test("a status is kept; repeated, older and backward ones change nothing", async () => {
    const { report, known } = await withTask();
    await report(statusRow("task0001", { sequence: 5, attempt: 2 }));
    await report(statusRow("task0001", { sequence: 5, attempt: 2, ready: false }));
    await report(statusRow("task0001", { sequence: 4, attempt: 9 }));
    await report(statusRow("task0001", { sequence: 6, attempt: 1 }));
    assert.deepEqual(known(), statusRow("task0001", { sequence: 5, attempt: 2 }));
    await report(
      statusRow("task0001", { sequence: 8, attempt: 3 }),
      statusRow("task0001", { sequence: 7, attempt: 2 }),
    );
    assert.equal(known()?.sequence, 8);
  });

  test("tasks that are unknown, given up or of others are answered stop", async () => {
    const { fixture, report, known } = await withTask();
    const verdict = { kind: "lost", reason: "silent", at: 1 } as const;
    await fixture.put(keys.task(SCOPE, "task0002"), taskRow("task0002", { verdict }));
    await fixture.put(keys.task(SCOPE, "task0003"), taskRow("task0003", { node: "node-2" }));
    const { stop } = await report(
      statusRow("task0001"),
      statusRow("task0002"),
      statusRow("task0003"),
      statusRow("task0009"),
      statusRow("task0010", { state: "removed", ready: false }),
    );
    assert.deepEqual(stop, ["task0002", "task0003", "task0009"]);
    assert.equal(known()?.state, "running");
    assert.equal(fixture.state.view.statuses.by("task", "task0003").length, 0);
    assert.equal(fixture.state.view.statuses.by("task", "task0002").length, 1, "facts are kept");
  });

  test("hundreds of statuses come in one report", async () => {
    const { fixture, report } = await withTask();
    const ids = Array.from({ length: 200 }, (_, index) => `many${String(index).padStart(4, "0")}`);
    for (const id of ids) await fixture.put(keys.task(SCOPE, id), taskRow(id));
    assert.deepEqual(await report(...ids.map((id) => statusRow(id))), { stop: [] });
    assert.equal(fixture.state.view.statuses.size, 200);
  });

  test("an unchanged report of a host is not written again at once", async () => {
    const { fixture, agent, run } = await setUp();
    const report = (reportedAt: number) =>
      run(agent.call("reportNode", { params, body: { status: nodeStatusRow({ reportedAt }) } }));
    await report(1_000);
    const revision = await fixture.store.currentRevision();
    await report(2_000);
    assert.equal(await fixture.store.currentRevision(), revision);
    await report(90_000);
    assert.ok((await fixture.store.currentRevision()) > revision);
    // Before the write and after it.
    assert.equal(fixture.renewed.length, 2 * 3);
  });

  test("a report of a silent node makes it known as in contact, and ends what was decided for its silence", async () => {
    const { fixture, agent, run } = await setUp();
    const fence = { state: "done", by: "person", who: "me", at: 5, attempts: 0 } as const;
    const silence = { contact: "down", contactChangedAt: 5, silentForMs: 60_000, fence } as const;
    await fixture.put(keys.node("node-1"), { ...nodeRow("node-1"), ...silence });
    await run(agent.call("reportNode", { params, body: { status: nodeStatusRow() } }));
    const node = fixture.state.view.nodes.get(keys.node("node-1"))?.value;
    assert.equal(node?.contact, "up");
    assert.deepEqual([node?.fence, node?.silentForMs], [undefined, undefined]);
  });

  test("a person's word about a host: refused of one in contact, kept of a silent one, told of what waits", async () => {
    const { fixture, admin, agent, run } = await setUp();
    const say = (node: string, by = admin) =>
      run(by.call("confirmNodeFenced", { params: { node } }));
    await assert.rejects(say("node-1"), isCode("conflict", /node-1 is in contact/));
    await assert.rejects(say("node-9"), isCode("not_found"));
    await assert.rejects(say("node-1", agent), isCode("forbidden"));
    const silent = { ...nodeRow("node-1"), contact: "down", contactChangedAt: 5 } as const;
    await fixture.put(keys.node("node-1"), silent);
    await fixture.put(keys.task(SCOPE, "single01"), taskRow("single01", { exclusive: true }));
    await fixture.put(keys.task(SCOPE, "free0001"), taskRow("free0001", { slot: 2 }));
    const standing = () => run(admin.call("getNodeStanding", { params: { node: "node-1" } }));
    const waits = (await standing()).copies.map((copy) => copy.waits ?? "");
    assert.match(
      waits.join("|"),
      /until node-1 is back, or a person says .*berth node fenced node-1/,
    );
    const answer = await say("node-1");
    assert.deepEqual(answer, { node: "node-1", freed: ["shop/web-1"] });
    const { fence } = (await standing()).node;
    assert.deepEqual([fence?.state, fence?.by, fence?.who], ["done", "person", "admin"]);
    assert.deepEqual((await say("node-1")).freed, [], "said again, nothing waits any more");
    const after = (await standing()).copies.map((copy) => copy.waits ?? "");
    assert.doesNotMatch(after.join("|"), /until node-1 is back/);
  });

  test("an operation ends once", async () => {
    const { fixture, agent, run } = await setUp();
    const operation: Operation = {
      id: "op000001",
      ...SCOPE,
      node: "node-1",
      createdAt: 1,
      updatedAt: 1,
      input: { kind: "remove-volume", engineName: "v" },
      state: "pending",
    };
    await fixture.put(keys.operation("node-1", operation.id), operation);
    const report = (state: "running" | "done" | "failed") =>
      run(
        agent.call("reportOperation", {
          params: { ...params, operation: operation.id },
          body: { state },
        }),
      );
    assert.equal((await report("running")).state, "running");
    assert.equal((await report("done")).state, "done");
    assert.equal((await report("failed")).state, "done");
  });

  test("secrets and blobs are for the node whose tasks refer to them", async () => {
    const { fixture, admin, agent, run } = await withTask();
    const content = Buffer.from([0, 255, 10, 13]).toString("base64");
    const spec = stackSpec({ secrets: { pw: { content } } });
    const made = await run(admin.call("deployStack", { params: SCOPE, body: { spec } }));
    const config = await fixture.blobs.add(Buffer.from("config"));
    const other = await fixture.blobs.add(Buffer.from("other"));
    const file = { name: "pw", target: "/run/secrets/pw", uid: 0, gid: 0, mode: 0o400 };
    const service = serviceSpec({ secrets: [file], configs: [{ ...file, name: "conf" }] });
    const image = { reference: "busybox:1" };
    await fixture.put(
      keys.release(SCOPE, 2),
      releaseRow({
        number: 2,
        services: { web: { spec: service, image, template: "t2" } },
        secrets: made.secrets,
        configs: { conf: { digest: config.digest, sizeBytes: 6 } },
      }),
    );
    await fixture.put(
      keys.task(SCOPE, "task0002"),
      taskRow("task0002", { release: 2, template: "t2" }),
    );
    const secretsOf = (client: ApiClient, task: string) =>
      run(client.call("getTaskSecrets", { params: { ...params, task } }));
    assert.deepEqual(await secretsOf(agent, "task0002"), { pw: content });
    await fixture.put(
      keys.task(SCOPE, "task0003"),
      taskRow("task0003", { node: "node-2", release: 2, template: "t2" }),
    );
    await assert.rejects(secretsOf(agent, "task0003"), isCode("not_found"));
    const blob = (digest: string) =>
      run(agent.download("getNodeBlob", { params: { ...params, digest } }));
    const found = await run(Array.fromAsync(await blob(config.digest)));
    assert.equal(Buffer.concat(found).toString(), "config");
    await assert.rejects(blob(other.digest), isCode("not_found"));
  });
});

describe("pausing a copy", () => {
  async function withTwoReady() {
    const all = await setUp();
    for (const [slot, id] of ["task0001", "task0002"].entries()) {
      await all.fixture.put(keys.task(SCOPE, id), taskRow(id, { slot: slot + 1 }));
      await all.fixture.put(keys.status(SCOPE, id), statusRow(id, { readyAt: 1 }));
    }
    const { project, environment } = SCOPE;
    const of = (task: string) => ({ project, environment, task });
    const pause = (task: string, body = {}) =>
      all.run(all.admin.call("pauseTask", { params: of(task), body }));
    const resume = (task: string) => all.run(all.admin.call("resumeTask", { params: of(task) }));
    const paused = (id: string) => all.fixture.state.view.tasks.by("id", id)[0]?.value.paused;
    return { ...all, pause, resume, paused };
  }

  test("it says who and why, and again changes nothing; resuming undoes it", async () => {
    const { pause, resume, paused, clock } = await withTwoReady();
    await pause("task0001", { reason: "heap dump" });
    const first = paused("task0001");
    assert.deepEqual(first, { at: first?.at, by: "admin", reason: "heap dump" });
    clock.advance(1_000);
    await pause("task0001", { reason: "another" });
    assert.deepEqual(paused("task0001"), first);
    await resume("task0001");
    await resume("task0001");
    assert.equal(paused("task0001"), undefined);
  });

  test("of two people who pause two copies at once, one is refused", async () => {
    const { pause, paused } = await withTwoReady();
    const results = await Promise.allSettled([pause("task0001"), pause("task0002")]);
    const refused = results.filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 1);
    assert.ok(isCode("last_ready_copy")((refused[0] as PromiseRejectedResult).reason));
    const [left] = ["task0001", "task0002"].filter((id) => paused(id) === undefined);
    await pause(left ?? "", { force: true });
    assert.ok(paused(left ?? "") !== undefined);
  });

  test("what is to stop, or is nowhere, is not paused", async () => {
    const { fixture, pause } = await withTwoReady();
    const stopping = taskRow("task0003", { desired: "stopped", stopReason: "scaled to 2" });
    await fixture.put(keys.task(SCOPE, "task0003"), stopping);
    await assert.rejects(pause("task0003"), isCode("conflict", /is to stop: scaled to 2/));
    await assert.rejects(pause("task0009"), isCode("not_found"));
  });
});

describe("labels and resources of a node", () => {
  const params = { node: "node-1" };

  test("what is named is set or taken away, the rest stays", async () => {
    const { admin, run } = await setUp();
    const change = (body: object) => run(admin.call("changeNode", { params, body }));
    await change({ labels: { zone: "a", disk: "ssd" }, countables: { gpu: 2 } });
    const { labels, countables } = await change({ labels: { disk: null, rack: "7" } });
    assert.deepEqual([labels, countables], [{ zone: "a", rack: "7" }, { gpu: 2 }]);
    const last = await change({ countables: { gpu: null } });
    assert.equal("countables" in last, false);
  });

  test("only for administrators, known nodes, good names and a bounded number", async () => {
    const { admin, agent, run } = await setUp();
    const body = { labels: { zone: "a" } };
    await assert.rejects(run(agent.call("changeNode", { params, body })), isCode("forbidden"));
    await assert.rejects(
      run(admin.call("changeNode", { params: { node: "node-9" }, body })),
      isCode("not_found"),
    );
    await assert.rejects(
      run(admin.call("changeNode", { params, body: { labels: { "a b": "c" } } })),
      isCode("invalid_request"),
    );
    const many = (start: string) =>
      Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`${start}${index}`, "x"]));
    await run(admin.call("changeNode", { params, body: { labels: many("a") } }));
    await assert.rejects(
      run(admin.call("changeNode", { params, body: { labels: many("b") } })),
      isCode("limit_exceeded", /120 labels, resources or taints, at most 100/),
    );
  });
});

describe("the policy of a project", () => {
  const spec = stackSpec({
    services: { web: serviceSpec({ engine: { privileged: true } }) },
  });
  const deploy = (admin: ApiClient, project: string) =>
    admin.call("deployStack", {
      params: { project, environment: "main", stack: "shop" },
      body: { spec },
      idempotencyKey: `${project}-deploy`,
    });

  test("a project may ask for what was allowed to it, and for nothing else", async () => {
    const { admin, run } = await setUp();
    const denied =
      /services\.web\.privileged.* berth project policy --project one --allow privileged/;
    await assert.rejects(run(deploy(admin, "one")), isCode("policy_denied", denied));
    const body = { allow: ["devices", "privileged"] as const };
    const written = await run(admin.call("putPolicy", { params: { project: "one" }, body }));
    const used = { cpuMillis: 0, memoryBytes: 0, tasks: 0 };
    const rest = { used, everywhere: [] };
    assert.deepEqual(written, { project: "one", allow: ["privileged", "devices"], ...rest });
    assert.equal((await run(deploy(admin, "one"))).state, "pending");
    await assert.rejects(run(deploy(admin, "two")), isCode("policy_denied"));
    const two = await run(admin.call("getPolicy", { params: { project: "two" } }));
    assert.deepEqual(two, { project: "two", allow: [], ...rest });
  });

  test("only administrators change it, with words that there are", async () => {
    const { admin, agent, run } = await setUp();
    const params = { project: "one" };
    const put = (client: ApiClient, allow: readonly string[]) =>
      run(client.call("putPolicy", { params, body: { allow } as never }));
    await assert.rejects(put(agent, []), isCode("forbidden"));
    await assert.rejects(put(admin, ["everything"]), isCode("invalid_request"));
  });
});

describe("volumes", () => {
  const volume: Volume = {
    ...SCOPE,
    name: "data",
    engineName: "v1",
    mode: "exclusive",
    node: "node-1",
    external: false,
    createdAt: 1,
  };
  const params = { ...SCOPE, volume: "data" };

  async function withVolume(changes: Partial<Volume> = {}) {
    const all = await setUp();
    await all.fixture.put(keys.volume(SCOPE, "data"), { ...volume, ...changes });
    return { ...all, remove: () => all.admin.call("removeVolume", { params }) };
  }

  /** Reports the first open operation of the node as `state`. */
  async function report(fixture: ApiFixture, state: "done" | "failed"): Promise<void> {
    const operations = () => fixture.state.view.operations.by("node", "node-1");
    while (operations().length === 0) await new Promise((done) => setImmediate(done));
    const [operation] = operations();
    const error = { code: "engine_error", message: "busy", details: {} };
    const failed = state === "failed" ? { error } : {};
    await fixture.put(operation?.key ?? "", { ...operation?.value, state, ...failed });
  }

  test("a volume goes when its agent has removed it", async () => {
    const { fixture, run, remove } = await withVolume();
    const [removed] = await run(Promise.all([remove(), report(fixture, "done")]));
    assert.equal(removed.engineName, "v1");
    assert.equal(fixture.state.view.volumes.size, 0);
  });

  test("it stays when the agent could not, when it is used, external or out of reach", async () => {
    const failed = await withVolume();
    await assert.rejects(
      failed.run(Promise.all([failed.remove(), report(failed.fixture, "failed")])),
      isCode("engine_error", /busy/),
    );
    assert.equal(failed.fixture.state.view.volumes.size, 1);

    const used = await withVolume();
    const volumes = [{ volume: "data", engineName: "v1", exclusive: true }];
    await used.fixture.put(keys.task(SCOPE, "task0001"), taskRow("task0001", { volumes }));
    await assert.rejects(used.run(used.remove()), isCode("still_in_use", /shop\/web-1/));
    const { items } = await used.run(
      used.admin.call("listVolumes", { params: { project: "default", environment: "main" } }),
    );
    assert.deepEqual(items[0]?.usedBy, ["web-1"]);

    const external = await withVolume({ external: true });
    await assert.rejects(external.run(external.remove()), isCode("policy_denied"));
    const far = await withVolume({ node: "node-9" });
    await assert.rejects(far.run(far.remove()), isCode("node_unreachable"));
  });
});

describe("networks", () => {
  test("a network is listed with what is used of it and by whom", async () => {
    const { fixture, admin, run } = await setUp();
    const network: Network = {
      ...SCOPE,
      name: "default",
      id: "0a1b2c3d",
      subnet: "10.64.0.0/24",
      gateway: "10.64.0.254",
      ipRange: "10.64.0.0/28",
      reserved: ["10.64.0.9"],
      internal: false,
      createdAt: 0,
    };
    await fixture.put(keys.network(SCOPE, "default"), network);
    const attachments = [{ networkId: network.id, address: "10.64.0.3", mac: "02:42:0a:40:00:03" }];
    await fixture.put(keys.task(SCOPE, "task0001"), taskRow("task0001", { attachments }));
    const stack = "default/main/shop";
    const claim = { kind: "address", networkId: network.id, address: "10.64.0.3" } as const;
    await fixture.put(keys.claim(claim), { stack, service: "web", tasks: ["task0001"] });
    const own = keys.claim({ kind: "service-address", address: "10.79.1.1" });
    await fixture.put(own, { stack, service: "web", network: network.id });
    const params = { project: "default", environment: "main" };
    const { items } = await run(admin.call("listNetworks", { params }));
    assert.deepEqual(items, [
      {
        network,
        addressesUsed: 1,
        addressesTotal: 14,
        serviceAddresses: { "shop/web": "10.79.1.1" },
        attached: { "shop/web-1": "10.64.0.3" },
        nodes: {},
      },
    ]);
  });
});

describe("lists and records", () => {
  test("pages join to the whole, whatever their size", async () => {
    const { fixture, admin, run } = await setUp();
    const ids = Array.from({ length: 23 }, (_, index) => `page${String(index).padStart(4, "0")}`);
    for (const id of ids) await fixture.put(keys.task(SCOPE, id), taskRow(id));
    for (const limit of [1, 7, 23, 24]) {
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await run(
          admin.call("listTasks", {
            params: { project: "default", environment: "main" },
            query: { limit: String(limit), ...(after === undefined ? {} : { after }) },
          }),
        );
        assert.ok(page.items.length <= limit);
        seen.push(...page.items.map(({ task }) => task.id));
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(seen, ids);
    }
  });

  test("releases come newest first, page by page", async () => {
    const { fixture, admin, run } = await setUp();
    for (const number of [2, 3]) {
      await fixture.put(keys.release(SCOPE, number), releaseRow({ number }));
    }
    const list = (query: { limit: string; after?: string }) =>
      run(admin.call("listReleases", { params: SCOPE, query }));
    const first = await list({ limit: "2" });
    assert.deepEqual(
      first.items.map(({ number }) => number),
      [3, 2],
    );
    const second = await list({ limit: "2", after: first.next ?? "" });
    assert.deepEqual(
      second.items.map(({ number }) => number),
      [1],
    );
    assert.equal(second.next, undefined);
  });

  test("the record names every write, accepted or refused, and no content", async () => {
    const { fixture, admin, agent, run } = await setUp();
    const params = { ...SCOPE, service: "web" };
    await run(admin.call("scaleService", { params, body: { copies: 4 } }));
    const nowhere = { ...params, stack: "nowhere" };
    await assert.rejects(run(admin.call("scaleService", { params: nowhere, body: { copies: 4 } })));
    await assert.rejects(run(agent.call("restartService", { params })));
    await run(admin.call("listNodes", { params: {} }));
    await run(fixture.api.flush());
    const { items } = await run(admin.call("listAudit", { params: {} }));
    assert.deepEqual(
      items.map(({ actor, action, path, status, code }) => ({ actor, action, path, status, code })),
      [
        {
          actor: "admin",
          action: "scaleService",
          path: "/v1/projects/default/environments/main/stacks/shop/services/web/scale",
          status: 200,
          code: undefined,
        },
        {
          actor: "admin",
          action: "scaleService",
          path: "/v1/projects/default/environments/main/stacks/nowhere/services/web/scale",
          status: 404,
          code: "not_found",
        },
        {
          actor: "agent-1",
          action: "restartService",
          path: "/v1/projects/default/environments/main/stacks/shop/services/web/restart",
          status: 403,
          code: "forbidden",
        },
      ],
    );
  });
});
