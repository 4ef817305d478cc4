/**
 * A volume goes from host to host with the service that uses it: its content, owners, modes and links arrive; a
 * move that fails leaves everything as it was; agents that are killed in the middle change nothing of that.
 */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Volume } from "@berth/protocol";
import { killAll } from "../platform-processes.ts";
import { eventually } from "../test-platform.ts";
import { HostLab, type LabHost } from "./host-lab.ts";

let lab: HostLab;
let first: LabHost;
let second: LabHost;

before(async () => {
  lab = await HostLab.boot("one", "two");
  const [one, two] = lab.hosts;
  assert.ok(one && two);
  [first, second] = [one, two];
  await first.startServer();
  const [printed] = await first.json<{ readonly command: string }>("node", "join");
  const { code, stdout, stderr } = await second.paste(printed?.command ?? "");
  assert.equal(code, 0, stdout + stderr);
  first.buildBusybox("local/busybox:1");
});

after(() => lab?.destroy());

const COMPOSE = `services:
  db:
    image: local/busybox:1
    command: ["sh", "-c", "date >> /data/starts; exec sleep infinity"]
    stop_signal: SIGKILL
    volumes: [data:/data]
    x-berth: { min_healthy: 200ms, drain: 0s }
volumes: { data: {} }
`;

async function volume(): Promise<Volume> {
  const [view] = await first.json<{ readonly volume: Volume }>("volume", "describe", "keep/data");
  return view?.volume ?? assert.fail("no volume");
}

async function host(): Promise<LabHost> {
  const { node } = await volume();
  return lab.hosts.find(({ name }) => name === node) ?? assert.fail(`no host ${node}`);
}

/** Runs a command in the service's container, wherever that is. */
async function inside(command: string): Promise<string> {
  return first.must("exec", "keep/db", "sh", "-c", command);
}

const LOOK = "cd /data && ls -lan a.txt link sub && md5sum big a.txt && readlink link";

test("a volume moves with its content, and its service with it", async (context) => {
  await first.deploy("keep", COMPOSE);
  await inside(
    "cd /data && echo hello > a.txt && chown 77:88 a.txt && chmod 640 a.txt && mkdir sub && " +
      "chmod 2750 sub && ln -s a.txt link && dd if=/dev/urandom of=big bs=1M count=64 2>/dev/null",
  );
  const before = await inside(LOOK);
  const source = await host();
  const target = lab.hosts.find((each) => each !== source) ?? assert.fail();
  const dry = await first.berth("volume", "move", "keep/data", "--to", target.name, "--dry-run");
  assert.match(dry.stderr, /stops keep\/db-1 meanwhile/);
  const from = performance.now();
  const { code, stdout, stderr } = await first.berth(
    ...["volume", "move", "keep/data", "--to", target.name, "--yes"],
  );
  assert.equal(code, 0, stdout + stderr);
  context.diagnostic(`moved 64 MiB after ${Math.round(performance.now() - from)} ms: ${stdout}`);
  await eventually("the service runs on the other host", async () => {
    return target.docker("ps", "-q").trim() !== "" && source.docker("ps", "-q").trim() === "";
  });
  await eventually("its content is there", async () => (await inside(LOOK)) === before);
  assert.equal((await inside("wc -l < /data/starts")).trim(), "2");
  await eventually("nothing is left on the old host", async () => {
    return source.docker("volume", "ls", "-q").trim() === "" && (await volume()).hold === undefined;
  });
});

for (const victim of ["target", "source"] as const) {
  test(`a ${victim} whose agent is killed in the middle: resumed, and nothing is lost`, async () => {
    const before = await inside(LOOK);
    const source = await host();
    const target = lab.hosts.find((each) => each !== source) ?? assert.fail();
    await first.must("volume", "move", "keep/data", "--to", target.name, "--yes", "--detach");
    await eventually("it is being copied", async () => {
      const { hold } = await volume();
      return hold?.phase === "copying" || hold?.phase === "cleaning" || hold === undefined;
    });
    await killAll(join((victim === "target" ? target : source).folder, "data"), "agent");
    await eventually(
      "it has come to an end",
      async () => (await volume()).hold === undefined,
      90_000,
    );
    const { last, node } = await volume();
    assert.equal(node, last?.state === "done" ? target.name : source.name, JSON.stringify(last));
    await eventually(
      "the content is as it was",
      async () => (await inside(LOOK)) === before,
      60_000,
    );
    const volumes = lab.hosts.map((each) => each.docker("volume", "ls", "-q").trim()).join("");
    assert.equal(volumes.split("\n").length, 1, volumes);
  });
}

test("a backup is a file that tar reads, and a restore brings its content back", async () => {
  const before = await inside(LOOK);
  const file = join(first.folder, "keep.tar");
  const names = ["volume", "backup", "keep/data", "--to", file];
  const made = await first.berth(...names, "--yes");
  assert.equal(made.code, 0, made.stdout + made.stderr);
  const again = await first.berth(...names, "--yes");
  assert.match(again.stderr, /exists already/);
  assert.match(await first.inside("tar", "tvf", file), /-rw-r----- 77\/88 .*volume\/a.txt/);
  await eventually("the service is back", async () => (await inside(LOOK)) === before);
  await inside("rm -r /data/big /data/sub && echo other > /data/a.txt");
  const changed = await inside("md5sum /data/a.txt");
  // A damaged file changes nothing.
  const bytes = readFileSync(file);
  bytes[bytes.length - 5_000] = (bytes[bytes.length - 5_000] ?? 0) ^ 1;
  writeFileSync(`${file}.damaged`, bytes);
  const words = ["volume", "restore", "keep/data", "--yes", "--from"];
  const damaged = await first.berth(...words, `${file}.damaged`);
  assert.match(damaged.stderr, /is no whole backup of a volume/);
  assert.equal(await inside("md5sum /data/a.txt"), changed);
  const restored = await first.berth(...words, file);
  assert.equal(restored.code, 0, restored.stdout + restored.stderr);
  await eventually("the content is as it was", async () => (await inside(LOOK)) === before);
  await eventually("nothing is left over", async () => (await volume()).hold === undefined);
  const live = await first.berth("volume", "backup", "keep/data", "--live", "--to", `${file}.live`);
  assert.equal(live.code, 0, live.stderr);
});

test("a move to a host that has gone is refused, and one that does not exist", async () => {
  const nowhere = await first.berth("volume", "move", "keep/data", "--to", "nine", "--yes");
  assert.notEqual(nowhere.code, 0);
  assert.match(nowhere.stderr, /there is no node nine/);
});
