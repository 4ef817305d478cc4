/** A member of etcd on each host of a lab, and servers that join over them by the printed line alone. */

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { HostLab, LabHost } from "./host-lab.ts";

/** Each host has a member of its own. */
export const ETCD = "etcd://127.0.0.1:2379";

/** The member of a host; its data outlives the host's power, and a kill. */
export function startEtcd(lab: HostLab, host: LabHost): ChildProcess {
  const peers = lab.hosts.map(({ name, address }) => `${name}=http://${address}:2380`).join(",");
  const own = `http://${host.address}:2380`;
  return host.begin(
    ...["etcd", "--name", host.name, "--data-dir", join(host.folder, "etcd")],
    ...["--listen-client-urls", "http://127.0.0.1:2379"],
    ...["--advertise-client-urls", "http://127.0.0.1:2379"],
    ...["--listen-peer-urls", own, "--initial-advertise-peer-urls", own],
    ...["--initial-cluster", peers, "--initial-cluster-state", "new", "--log-level", "error"],
  );
}

/** By the line that a server prints, and nothing else. */
export async function joinAsServer(server: LabHost, host: LabHost): Promise<void> {
  const [printed] = await server.json<{ readonly command: string }>("server", "join");
  const { command = "" } = printed ?? {};
  const bare = await host.paste(command, "--check");
  assert.match(bare.stdout + bare.stderr, /which is on its own host: say where it is for this one/);
  const { code, stdout, stderr } = await host.paste(command, "--store", ETCD);
  assert.equal(code, 0, stdout + stderr);
}

/** Lists at `host` all the time; answers what failed, and the longest time that one took. */
export function reads(host: LabHost) {
  const failures: string[] = [];
  let count = 0;
  let longestMs = 0;
  let goesOn = true;
  const done = (async () => {
    while (goesOn) {
      const start = performance.now();
      const { code, stderr } = await host.berth("ps", "--json");
      longestMs = Math.max(longestMs, performance.now() - start);
      count++;
      if (code !== 0) failures.push(`${host.name}: ${stderr.trim()}`);
    }
  })();
  return {
    async stop() {
      goesOn = false;
      await done;
      return { count, failures, longestMs: Math.round(longestMs) };
    },
  };
}
