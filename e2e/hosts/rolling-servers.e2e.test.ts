/**
 * Three servers with a member of etcd each go to a version to come, one at a time, with requests to a stack and lists
 * at every host all the while: none fails and no container is touched. One of them goes back and forth in between;
 * once all have the new version the formats move on, and the way back is refused before anything is stopped.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { FORMAT_LEVEL, type ServerView } from "@berth/protocol";
import { underLoad } from "../constant-load.ts";
import { eventually, ROOT, TestPlatform } from "../test-platform.ts";
import { ETCD, joinAsServer, reads, startEtcd } from "./host-etcd.ts";
import { HostLab, type LabHost } from "./host-lab.ts";
import { nextVersion } from "./other-versions.ts";
import { containers, LONG_LEASE, shop, shopClient } from "./shop-load.ts";

/** What the version to come reads. */
const RAISED = FORMAT_LEVEL + 1;

const folder = mkdtempSync(join(tmpdir(), "bn-"));
let lab: HostLab;
let next: string;

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  next = nextVersion(folder);
  lab = await HostLab.boot("one", "two", "three");
  const [first, ...others] = lab.hosts;
  assert.ok(first);
  for (const host of lab.hosts) startEtcd(lab, host);
  await first.startServer("--store", ETCD, ...LONG_LEASE);
  first.loadImage("berth/busybox");
  for (const host of others) {
    await joinAsServer(first, host);
    host.loadImage("berth/busybox");
  }
});

after(async () => {
  await lab?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

/** Replaces everything of ours on `host`; answers once its server and agent are there in that version. */
async function moveTo(host: LabHost, root: string): Promise<void> {
  host.root = root;
  assert.match(await host.must("platform", "start", "--consent"), /upgrade .* → .*; containers/);
  await eventually(`every server sees ${host.name}`, async () => {
    const all = await Promise.all(lab.hosts.map((asked) => asked.json<ServerView>("server", "ls")));
    return all.every((servers) => servers.filter(({ isPresent }) => isPresent).length === 3);
  });
}

async function status(host: LabHost): Promise<string> {
  return (await host.berth("platform", "status")).stdout;
}

/** A write at `at` is there, whatever version the leader has. */
async function writesAt(at: LabHost, label: string): Promise<void> {
  await at.must("node", "label", at.name, `${label}=yes`);
}

test("three servers go to the next version one at a time, and back while that is possible", async (context) => {
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  const ask = shopClient(lab);
  await one.deploy("shop", shop(3));
  await eventually("every host answers", async () => {
    const answers = await Promise.all([ask(), ask(), ask()]);
    return answers.every(({ status: code }) => code === 200);
  });
  const untouched = lab.hosts.map(containers);
  const reading = [reads(one), reads(three)];
  const load = await underLoad(ask, async () => {
    await moveTo(three, next);
    assert.match(
      await status(three),
      new RegExp(`level ${FORMAT_LEVEL} of ${RAISED}, held back by server`),
    );
    await writesAt(one, "by-old");
    await writesAt(three, "by-new");
    await moveTo(three, ROOT);
    await writesAt(three, "again-by-old");
    for (const host of [three, two, one]) await moveTo(host, next);
    await eventually("the formats have moved on", async () =>
      new RegExp(`level ${RAISED} *$`, "m").test(await status(one)),
    );
    one.root = ROOT;
    const back = await one.berth("platform", "start", "--consent");
    assert.notEqual(back.code, 0);
    assert.match(
      back.stderr,
      new RegExp(
        `up to ${FORMAT_LEVEL}, the cluster's state is at ${RAISED}: .*Nothing was stopped`,
      ),
    );
    one.root = next;
    assert.equal((await one.berth("platform", "status")).code, 0);
    await writesAt(one, "afterwards");
  });
  context.diagnostic(`${load.good} requests were answered`);
  assert.deepEqual(load.failures, []);
  for (const each of reading) {
    const { count, failures, longestMs } = await each.stop();
    context.diagnostic(`${count} lists, the longest took ${longestMs} ms`);
    assert.deepEqual(failures, []);
  }
  assert.deepEqual(lab.hosts.map(containers), untouched);
});
