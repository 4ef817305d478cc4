/** Deploying a stack of 20 services that has not changed, and `berth version`: whole commands. */

import assert from "node:assert/strict";
import { type BenchHost, type BenchPlatform, IMAGE } from "./bench-host.ts";
import type { Comparison } from "./figures.ts";

const SERVICES = 20;
const RUNS = 10;

function compose(): string {
  const services = Array.from(
    { length: SERVICES },
    (_, index) => `  app${index}:
    image: ${IMAGE}
    command: ["sleep", "100000"]
    labels: { bench.unchanged: "yes" }
    stop_grace_period: 0s
    x-berth: { min_healthy: 0s, drain: 0s, requests: { cpus: "0.001", memory: 1m } }`,
  );
  return `services:\n${services.join("\n")}\n`;
}

export async function benchUnchanged(
  host: BenchHost,
  platform: BenchPlatform,
): Promise<Comparison[]> {
  const text = compose();
  platform.deploy("unchanged", text);
  const ids = async () => (await host.running("bench.unchanged=yes")).map(({ Id }) => Id).sort();
  const before = await ids();
  assert.equal(before.length, SERVICES);
  const deploys: number[] = [];
  for (let run = 0; run < RUNS; run++) deploys.push(platform.deploy("unchanged", text));
  assert.deepEqual(await ids(), before, "an unchanged deploy restarted something");
  platform.remove("unchanged");
  const versions: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const from = performance.now();
    assert.match(platform.berth("version"), /^berth /);
    versions.push(performance.now() - from);
  }
  return [
    {
      what: `deploying an unchanged stack of ${SERVICES} services (nothing restarted)`,
      unit: "ms",
      ours: deploys,
      goal: "300 ms",
    },
    { what: "berth version", unit: "ms", ours: versions, goal: "100 ms" },
  ];
}
