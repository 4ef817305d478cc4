/**
 * Two versions in one cluster, as during every upgrade: three hosts under load, one after the other taken from the
 * previous version to this one. A new agent with the old server, then an old agent with the new server: both get
 * new copies and streams. No container is touched, no request fails, and new formats wait for the last one.
 *
 * The previous version is the last commit of the history with another protocol or other formats. A clone whose history
 * has none has a version to come instead, which then is the new one; where there is one and it cannot be used, this fails.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { FormatStanding, NodeStanding } from "@berth/protocol";
import { underLoad } from "../constant-load.ts";
import { eventually, ROOT, TestPlatform } from "../test-platform.ts";
import { HostLab, type LabHost } from "./host-lab.ts";
import { nextVersion, olderVersion } from "./other-versions.ts";
import { containers, LONG_LEASE, shop, shopClient } from "./shop-load.ts";

const folder = mkdtempSync(join(tmpdir(), "bv-"));
let lab: HostLab;
let older: string;
let newer: string;

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  lab = await HostLab.boot("one", "two", "three");
  const found = olderVersion(folder);
  [older, newer] = found === undefined ? [ROOT, nextVersion(folder)] : [found.root, ROOT];
  console.log(`the older version: ${found?.commit ?? "this one, upgraded to one to come"}`);
  const [one, ...others] = hosts();
  for (const host of lab.hosts) host.root = older;
  await one.startServer(...LONG_LEASE);
  one.loadImage("berth/busybox");
  for (const host of others) {
    await joinByLine(host);
    host.loadImage("berth/busybox");
  }
});

after(async () => {
  await lab?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

function hosts(): readonly [LabHost, LabHost, LabHost] {
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  return [one, two, three];
}

/** Pastes the line that the server's version prints. */
async function joinByLine(host: LabHost): Promise<string> {
  const [one] = hosts();
  const [printed] = await one.json<{ readonly command: string }>("node", "join");
  const { code, stdout, stderr } = await host.paste(printed?.command ?? "");
  assert.equal(code, 0, stdout + stderr);
  return stdout + stderr;
}

async function standing(node: string): Promise<NodeStanding> {
  const [found] = await hosts()[0].json<NodeStanding>("node", "describe", node);
  assert.ok(found);
  return found;
}

async function running(node: string) {
  const { copies } = await standing(node);
  return copies.filter(({ state }) => state === "running").map(({ copy }) => copy);
}

/** New copies come to `host`, and streams to its copies work in both directions. */
async function isUsed(host: LabHost, copies: number): Promise<void> {
  const [one] = hosts();
  await one.must("scale", `shop/web=${copies}`);
  await eventually(`${host.name} runs its share of ${copies}`, async () => {
    return (await running(host.name)).length === copies / 3;
  });
  const [copy] = await running(host.name);
  assert.ok(copy);
  assert.equal((await one.must("exec", copy, "echo", "heard")).trim(), "heard");
}

/** What the server says of formats; `undefined` from one that does not know them. */
async function formats(): Promise<FormatStanding | undefined> {
  const [one] = hosts();
  const { stdout } = await one.run("cat", join(one.folder, "data/admin.token"));
  const words = ["-sSf", "-H", `Authorization: Bearer ${stdout.trim()}`];
  const answer = await one.inside("curl", ...words, "http://127.0.0.1:7710/v1/servers");
  return (JSON.parse(answer) as { readonly formats?: FormatStanding }).formats;
}

test("three hosts go to the next version one by one: no container is touched, no request fails", async (context) => {
  const [one, two, three] = hosts();
  const ask = shopClient(lab);
  await one.deploy("shop", shop(3));
  await eventually("every host answers", async () => {
    const answers = await Promise.all([ask(), ask(), ask()]);
    return answers.every(({ status }) => status === 200);
  });
  const untouched = lab.hosts.map(containers);
  const load = await underLoad(ask, async () => {
    two.root = newer;
    const said = await two.must("platform", "start", "--consent");
    assert.match(said, /upgrade .* → .*; containers keep running/);
    await isUsed(two, 6);
    context.diagnostic("a new agent works with the old server");

    one.root = newer;
    await one.must("platform", "start", "--consent");
    await isUsed(three, 9);
    context.diagnostic("an old agent works with the new server");
    const held = await formats();
    assert.deepEqual(
      held?.heldBackBy.map(({ member }) => member),
      ["node three"],
    );
    assert.ok(held && held.level < held.newest, JSON.stringify(held));
    assert.match(await one.must("platform", "status"), /held back by node three/);

    const before = (await standing("three")).status?.agentVersion;
    assert.match(await joinByLine(three), /is a node of that cluster already/);
    three.root = newer;
    assert.notEqual((await standing("three")).status?.agentVersion, before);
    await eventually("newer formats may be written", async () => {
      const { level, newest } = (await formats()) ?? { level: 0, newest: 1 };
      return level === newest;
    });
  });
  context.diagnostic(`${load.good} requests were answered`);
  assert.deepEqual(load.failures, []);
  assert.ok(load.good > 0);
  for (const [index, host] of lab.hosts.entries()) {
    const now = new Set(containers(host));
    const gone = untouched[index]?.filter((each) => !now.has(each));
    assert.deepEqual(gone, [], host.name);
  }
});
