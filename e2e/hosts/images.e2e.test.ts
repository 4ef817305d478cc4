/**
 * Images that only one of three hosts has: services run on all three, a new version reaches a copy's host
 * before that copy is stopped, and what no host has is said in words.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { NodeStanding } from "@berth/protocol";
import { eventually } from "../test-platform.ts";
import { HostLab, type LabHost } from "./host-lab.ts";

let lab: HostLab;
let first: LabHost;
let third: LabHost;

before(async () => {
  lab = await HostLab.boot("one", "two", "three");
  const [one, two, three] = lab.hosts;
  assert.ok(one && two && three);
  [first, third] = [one, three];
  await first.startServer();
  for (const host of [two, three]) {
    const [printed] = await first.json<{ readonly command: string }>("node", "join");
    const { code, stdout, stderr } = await host.paste(printed?.command ?? "");
    assert.equal(code, 0, stdout + stderr);
  }
  third.buildBusybox("berth/busybox");
});

after(() => lab?.destroy());

/** Made on the third host and nowhere else; answers its identifier. */
async function makeImage(reference: string, content: string): Promise<string> {
  const argv = ["-H", `unix://${third.socket}`, "build", "-q", "-t", reference, "-"];
  const input = `FROM berth/busybox\nRUN head -c 30000000 /dev/urandom > /filling\nENV CONTENT=${content}\n`;
  const id = execFileSync("docker", argv, { input, env: { ...process.env, DOCKER_BUILDKIT: "0" } });
  const wanted = id.toString().trim();
  await eventually("the third host has told of its image", async () => {
    const [standing] = await first.json<NodeStanding>("node", "describe", "three");
    return standing?.status?.images?.some((image) => image.id === wanted) === true;
  });
  return wanted;
}

const WEB = (image: string) => `services:
  web:
    image: ${image}
    command: ["sleep", "infinity"]
    stop_signal: SIGKILL
    deploy: { replicas: 3 }
    x-berth: { min_healthy: 200ms, drain: 0s }
`;

test("a service whose image one host has runs on all three", async (context) => {
  const imageId = await makeImage("local/web:1", "one");
  const from = performance.now();
  await first.deploy("web", WEB("local/web:1"));
  context.diagnostic(`deployed after ${Math.round(performance.now() - from)} ms`);
  for (const host of lab.hosts) {
    assert.equal(host.docker("ps", "-q").trim().split("\n").length, 1, host.name);
    assert.equal(host.docker("inspect", "-f", "{{.Id}}", "local/web:1").trim(), imageId);
  }
});

test("a copy that has to end first is stopped when its next image is there", async () => {
  const compose = (image: string) => `services:
  db:
    image: ${image}
    command: ["sleep", "infinity"]
    stop_signal: SIGKILL
    volumes: [data:/data]
    deploy: { placement: { constraints: [node.hostname==one] } }
    x-berth: { min_healthy: 200ms }
volumes: { data: {} }
`;
  await first.deploy("db", compose("local/web:1"));
  await makeImage("local/db:2", "two");
  await first.deploy("db", compose("local/db:2"));
  // Named by the agent right after it was loaded.
  const named = first.docker("inspect", "-f", "{{json .Metadata.LastTagTime}}", "local/db:2");
  const events = await first.json<{ readonly message: string; readonly at: number }>("events");
  const began = events.find(({ message }) => message === "release 2: rollout began")?.at ?? 0;
  assert.ok(Date.parse(JSON.parse(named)) <= began, `image ${named.trim()}, release ${began}`);
});

test("an image that nobody has is refused in words, and nothing was stopped", async () => {
  const file = join(first.folder, "none.yaml");
  writeFileSync(file, WEB("local/none:1"));
  const { code, stderr } = await first.berth("deploy", "-f", file, "--stack", "web");
  assert.notEqual(code, 0);
  assert.match(stderr, /local\/none:1/);
  assert.equal(first.docker("ps", "-q").trim().split("\n").length, 2);
});
