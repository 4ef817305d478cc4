/** The first five minutes of a new user, with real parts: examples/hello from nothing to gone. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, ROOT, TestPlatform } from "./test-platform.ts";

let platform: TestPlatform;
const compose = join(ROOT, "examples/hello/compose.yaml");

before(async () => {
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(() => platform.uninstall());

interface StackRow {
  readonly stack: { readonly stack: string; readonly release: number };
  readonly services: readonly { readonly service: string; readonly ready: number }[];
}
interface TaskRow {
  readonly task: { readonly id: string; readonly slot: number };
  readonly status?: { readonly containerId?: string; readonly ready: boolean };
}

test("hello is deployed, healthy and reachable by its route", async () => {
  const output = await platform.must("deploy", "-f", compose);
  assert.match(output, /hello/);
  const names = new Set<string>();
  for (let round = 0; round < 20; round++) {
    const answer = await platform.ingress("hello.localhost");
    assert.equal(answer.status, 200, answer.body);
    names.add(answer.body.trim());
  }
  assert.deepEqual([...names].sort(), ["hello from hello-1", "hello from hello-2"]);
  const [stack] = await platform.json<StackRow>("ps");
  assert.equal(stack?.services[0]?.ready, 2);
});

test("deploying the same file again restarts nothing", async () => {
  const containers = async () =>
    (await platform.json<TaskRow>("ps", "hello")).map((row) => row.status?.containerId).sort();
  const before = await containers();
  const output = await platform.must("deploy", "-f", compose);
  assert.match(output, /unchanged/);
  assert.deepEqual(await containers(), before);
});

test("copies can be scaled, and every one answers", async () => {
  await platform.must("scale", "hello/hello=4");
  await eventually("four copies are ready", async () => {
    const rows = await platform.json<TaskRow>("ps", "hello");
    return rows.filter((row) => row.status?.ready).length === 4;
  });
  await eventually("all four answer", async () => {
    const bodies = await Promise.all(
      Array.from({ length: 40 }, () => platform.ingress("hello.localhost")),
    );
    return new Set(bodies.map(({ body }) => body)).size === 4;
  });
});

test("a command runs inside a copy and its exit code comes through", async () => {
  const echo = await platform.berth(
    "exec",
    "hello/hello-1",
    "sh",
    "-c",
    "echo out; echo err >&2; exit 7",
  );
  assert.deepEqual([echo.code, echo.stdout, echo.stderr], [7, "out\n", "err\n"]);
});

test("a killed container runs again", async () => {
  const [first] = await platform.json<TaskRow>("ps", "hello");
  const id = first?.status?.containerId ?? "";
  execFileSync("docker", ["kill", id], { stdio: "ignore" });
  await eventually("its successor is ready", async () => {
    const rows = await platform.json<TaskRow>("ps", "hello");
    const same = rows.find((row) => row.task.id === first?.task.id);
    return same?.status?.ready === true;
  });
});

test("explain says where it runs, events what happened", async () => {
  assert.match(await platform.must("explain", "hello/hello"), /4 of 4/);
  assert.match(await platform.must("events", "hello"), /release 1/);
});

test("a removed stack leaves no container, network or route", async () => {
  await platform.must("stack", "rm", "hello", "--yes");
  const left = execFileSync("docker", ["ps", "-aq", "--filter", "label=berth.cluster"]).toString();
  const own = execFileSync("docker", [
    "ps",
    "-aq",
    "--filter",
    `label=berth.cluster=${clusterId()}`,
  ]);
  assert.equal(own.toString(), "", left);
  await eventually("the route is gone", async () => {
    try {
      return (await platform.ingress("hello.localhost")).status !== 200;
    } catch {
      return true;
    }
  });
});

test("uninstall removes everything and nothing else", async () => {
  const id = clusterId();
  const run = ["run", "-d", "--rm", "--network", "none", "berth/busybox", "sleep", "300"];
  const other = execFileSync("docker", run);
  try {
    await platform.must("platform", "uninstall", "--yes", "--volumes", "all");
    assert.equal(existsSync(platform.dataDir), false);
    assert.doesNotMatch(execFileSync("nft", ["list", "tables"]).toString(), new RegExp(id));
    assert.match(
      execFileSync("docker", ["ps", "-q", "--no-trunc"]).toString(),
      new RegExp(other.toString().trim()),
    );
  } finally {
    execFileSync("docker", ["rm", "-f", other.toString().trim()], { stdio: "ignore" });
  }
});

function clusterId(): string {
  return execFileSync("cat", [join(platform.dataDir, "cluster.id")])
    .toString()
    .trim();
}
