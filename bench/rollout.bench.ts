/**
 * Rolling update of 100 containers, ten at a time, the old one stopped first, processes that end at once on
 * SIGTERM: Berth against Docker Swarm on the same engine, in turns. Done means that 100 containers of the
 * new version run and none of the old one does.
 */

import { type BenchHost, type BenchPlatform, IMAGE, until } from "./bench-host.ts";
import type { Comparison } from "./figures.ts";

const COPIES = 100;
const AT_ONCE = 10;
const COMMAND = ["sh", "-c", 'trap "exit 0" TERM; sleep 100000 & wait'];

function compose(version: number): string {
  return `services:
  app:
    image: ${IMAGE}
    command: ${JSON.stringify(COMMAND)}
    labels: { bench.version: "b${version}" }
    environment: { VERSION: "${version}" }
    deploy:
      replicas: ${COPIES}
      update_config: { parallelism: ${AT_ONCE}, order: stop-first, delay: 0s }
    x-berth: { min_healthy: 0s, drain: 0s, requests: { cpus: "0.001", memory: 1m } }
`;
}

export async function benchRollout(
  host: BenchHost,
  platform: BenchPlatform,
  rounds: number,
): Promise<Comparison[]> {
  const ours: number[] = [];
  const swarm: number[] = [];
  for (let round = 0; round < rounds; round++) {
    swarm.push(await swarmRollout(host));
    ours.push(await berthRollout(host, platform));
  }
  return [
    {
      what: `rolling update of ${COPIES} containers, ${AT_ONCE} at a time, stop first`,
      unit: "s",
      ours,
      peer: { name: "swarm ", values: swarm },
      goal: "faster than Swarm",
    },
  ];
}

async function berthRollout(host: BenchHost, platform: BenchPlatform): Promise<number> {
  platform.deploy("rolling", compose(1));
  await replaced(host, "bench.version=b1", "bench.version=b2");
  const from = performance.now();
  platform.deploy("rolling", compose(2));
  await replaced(host, "bench.version=b2", "bench.version=b1");
  const tookMs = performance.now() - from;
  platform.remove("rolling");
  return tookMs / 1000;
}

async function swarmRollout(host: BenchHost): Promise<number> {
  ensureSwarm(host);
  host.docker(
    ...["service", "create", "--name", "rolling", "--detach", "--no-resolve-image"],
    ...["--replicas", String(COPIES), "--endpoint-mode", "dnsrr"],
    ...["--update-parallelism", String(AT_ONCE), "--update-delay", "0s"],
    ...["--container-label", "bench.version=s1", IMAGE, ...COMMAND],
  );
  await replaced(host, "bench.version=s1", "bench.version=s2");
  const from = performance.now();
  host.docker(
    ...["service", "update", "--detach", "--no-resolve-image", "--env-add", "VERSION=2"],
    ...["--container-label-add", "bench.version=s2", "rolling"],
  );
  await replaced(host, "bench.version=s2", "bench.version=s1");
  const tookMs = performance.now() - from;
  host.docker("service", "rm", "rolling");
  await until(
    "the service is gone",
    async () => (await host.running("bench.version=s2")).length === 0,
  );
  return tookMs / 1000;
}

/** Makes the engine a swarm of one; the host vanishes after the run, so it never leaves. */
export function ensureSwarm(host: BenchHost): void {
  const state = host.docker("info", "--format", "{{.Swarm.LocalNodeState}}").trim();
  if (state !== "active") host.docker("swarm", "init", "--advertise-addr", "127.0.0.1");
}

async function replaced(host: BenchHost, wanted: string, gone: string): Promise<void> {
  await until(`${COPIES} containers with ${wanted}`, async () => {
    const [present, old] = [await host.running(wanted), await host.running(gone)];
    return present.length === COPIES && old.length === 0;
  });
}
