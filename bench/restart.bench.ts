/** A container that is killed without warning, until its successor runs: Berth and Docker Swarm in turns. */

import { type BenchHost, type BenchPlatform, IMAGE, until } from "./bench-host.ts";
import type { Comparison } from "./figures.ts";
import { ensureSwarm } from "./rollout.bench.ts";

const KILLS = 10;

const COMPOSE = `services:
  app:
    image: ${IMAGE}
    command: ["sleep", "100000"]
    restart: always
    labels: { bench.killed: ours }
    x-berth: { min_healthy: 0s, drain: 0s }
`;

export async function benchRestart(
  host: BenchHost,
  platform: BenchPlatform,
): Promise<Comparison[]> {
  ensureSwarm(host);
  host.docker(
    ...["service", "create", "--name", "killed", "--detach", "--no-resolve-image"],
    ...["--endpoint-mode", "dnsrr", "--restart-delay", "0s"],
    ...["--container-label", "bench.killed=swarm", IMAGE, "sleep", "100000"],
  );
  await until(
    "the service runs",
    async () => (await host.running("bench.killed=swarm")).length === 1,
  );
  const ours: number[] = [];
  const swarm: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    // A new copy each time: the first failure of a copy is what is measured.
    platform.deploy(`killed${kill}`, COMPOSE);
    ours.push(await killOne(host, "bench.killed=ours"));
    platform.remove(`killed${kill}`);
    swarm.push(await killOne(host, "bench.killed=swarm"));
  }
  host.docker("service", "rm", "killed");
  return [
    {
      what: "a killed container running again",
      unit: "ms",
      ours,
      peer: { name: "swarm ", values: swarm },
      goal: "500 ms at most on the first failure",
    },
  ];
}

async function killOne(host: BenchHost, label: string): Promise<number> {
  const [before] = await host.running(label);
  const from = performance.now();
  await host.engine("POST", `/containers/${before?.Id}/kill?signal=SIGKILL`);
  await until("its successor runs", async () => {
    const list = await host.running(label);
    return list.length === 1 && list[0]?.Id !== before?.Id;
  });
  return performance.now() - from;
}
