/** Memory of server, agent and net and their processor use: idle, and with 50 containers that are probed. */

import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { type BenchHost, type BenchPlatform, IMAGE, residentMiB } from "./bench-host.ts";
import type { Comparison } from "./figures.ts";

const COPIES = 50;
const SETTLE_MS = 15_000;
const WINDOW_MS = 30_000;

const COMPOSE = `services:
  app:
    image: ${IMAGE}
    command: ["httpd", "-f", "-p", "8080", "-h", "/www"]
    labels: { bench.probed: "yes" }
    stop_grace_period: 0s
    deploy: { replicas: ${COPIES}, update_config: { parallelism: 0 } }
    x-berth:
      min_healthy: 0s
      drain: 0s
      requests: { cpus: "0.001", memory: 1m }
      probes: { ready: { http: { port: 8080, path: / }, interval: 5s } }
      routes: [{ host: bench.localhost, port: 8080 }]
`;

const GOALS = { server: 140, agent: 90, net: 70 } as const;

export async function benchResources(
  host: BenchHost,
  platform: BenchPlatform,
): Promise<Comparison[]> {
  await delay(SETTLE_MS);
  const idle = memory(platform, "idle");
  platform.deploy("probed", COMPOSE);
  assert.equal((await host.running("bench.probed=yes")).length, COPIES);
  await delay(SETTLE_MS);
  const before = platform.cpuMs();
  await delay(WINDOW_MS);
  const share = ((platform.cpuMs() - before) / WINDOW_MS) * 100;
  const loaded = memory(platform, `with ${COPIES} containers`);
  platform.remove("probed");
  return [
    ...idle,
    ...loaded,
    {
      what: `processor use with ${COPIES} containers and HTTP probes every 5 s`,
      unit: "% of a core",
      ours: [share],
      goal: "2 % of a core, all together",
    },
  ];
}

function memory(platform: BenchPlatform, when: string): Comparison[] {
  const processes = platform.processes();
  return (["server", "agent", "net"] as const).map((name) => ({
    what: `resident memory of ${name}, ${when}`,
    unit: "MiB",
    ours: processes[name].map(residentMiB),
    goal: `${GOALS[name]} MB`,
  }));
}
