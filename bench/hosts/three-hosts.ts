/** Three hosts of a benchmark's own, each with Berth and a copy of one small image, and how to boot one again. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { NodeStanding } from "@berth/protocol";
import { HostLab, type LabHost } from "../../e2e/hosts/host-lab.ts";
import { eventually } from "../../e2e/test-platform.ts";

export const IMAGE = "berth/busybox:1";

export interface ThreeHosts {
  readonly lab: HostLab;
  /** With the server: it never loses its power. */
  readonly first: LabHost;
  readonly others: readonly [LabHost, LabHost];
}

/** Names that nobody can resolve fail at once, and the engine may be part of a swarm. */
const PREPARE = `
set -e
mkdir -p /etc/docker
mount -t tmpfs tmpfs /etc/docker
echo '{ "live-restore": false }' > /etc/docker/daemon.json
printf 'nameserver 127.0.0.1\\noptions timeout:1 attempts:1\\n' > /run/resolv.conf
mount --bind /run/resolv.conf /etc/resolv.conf
`;

export async function bootThreeHosts(): Promise<ThreeHosts> {
  const lab = await HostLab.boot("one", "two", "three");
  const [first, second, third] = lab.hosts;
  assert.ok(first && second && third);
  for (const host of lab.hosts) await prepare(host);
  await first.startServer();
  first.buildBusybox(IMAGE);
  for (const host of [second, third]) {
    const [printed] = await first.json<{ readonly command: string }>("node", "join");
    const { code, stdout, stderr } = await host.paste(printed?.command ?? "");
    assert.equal(code, 0, stdout + stderr);
    const image = execFileSync("docker", ["-H", `unix://${first.socket}`, "save", IMAGE], {
      maxBuffer: 2 ** 28,
    });
    execFileSync("docker", ["-H", `unix://${host.socket}`, "load"], { input: image });
  }
  return { lab, first, others: [second, third] };
}

/** Before its engine starts, at each boot. */
function prepare(host: LabHost): Promise<string> {
  return host.inside("sh", "-c", PREPARE);
}

export async function contactOf(first: LabHost, name: string): Promise<string> {
  const [standing] = await first.json<NodeStanding>("node", "describe", name);
  return standing?.node.contact ?? "unknown";
}

/** Boots a host that lost its power, with all that it ran by itself. */
export async function bootAgain(first: LabHost, host: LabHost): Promise<void> {
  await host.boot();
  await prepare(host);
  const { code, stdout, stderr } = await host.installed("platform", "start");
  assert.equal(code, 0, stdout + stderr);
  await eventually(`${host.name} is in contact`, async () => {
    return (await contactOf(first, host.name)) === "up";
  });
  // Silent again and again is what a benchmark does on purpose.
  await first.must("node", "uncordon", host.name);
}
