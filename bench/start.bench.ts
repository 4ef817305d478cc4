/**
 * From `berth deploy` until every copy is ready, against create + start of as many containers through the
 * Engine API: same image, command, network options, limits and concurrency, in turns.
 */

import assert from "node:assert/strict";
import {
  type BenchHost,
  type BenchPlatform,
  CONCURRENCY,
  IMAGE,
  inParallel,
} from "./bench-host.ts";
import type { Comparison } from "./figures.ts";

const MEMORY_BYTES = 32 * 1024 * 1024;

function compose(copies: number): string {
  return `services:
  app:
    image: ${IMAGE}
    command: ["sleep", "100000"]
    init: true
    mem_limit: 32m
    labels: { bench.side: ours }
    stop_grace_period: 0s
    deploy: { replicas: ${copies}, update_config: { parallelism: 0 } }
    x-berth: { min_healthy: 0s, drain: 0s, requests: { cpus: "0.001", memory: 1m } }
`;
}

export async function benchStart(
  host: BenchHost,
  platform: BenchPlatform,
  rounds: number,
): Promise<Comparison[]> {
  const results: Comparison[] = [];
  for (const copies of [1, 100]) {
    const ours: number[] = [];
    const raw: number[] = [];
    const cpu: number[] = [];
    for (let round = 0; round < rounds; round++) {
      raw.push(await rawStart(host, copies, round));
      const cpuBefore = platform.cpuMs();
      ours.push(platform.deploy(`s${copies}x${round}`, compose(copies)));
      cpu.push((platform.cpuMs() - cpuBefore) / copies);
      assert.equal((await host.running("bench.side=ours")).length, copies);
      platform.remove(`s${copies}x${round}`);
    }
    results.push({
      what: `${copies} container${copies === 1 ? "" : "s"}, from berth deploy to all ready`,
      unit: "ms",
      ours,
      peer: { name: "engine", values: raw },
      goal: "at most 1.10 times the engine",
    });
    results.push({
      what: `processor time of server, agent, net and HAProxy per container (${copies})`,
      unit: "ms",
      ours: cpu,
      goal: "at most 20 ms a container, in the run of 100",
    });
  }
  return results;
}

async function rawStart(host: BenchHost, copies: number, round: number): Promise<number> {
  const network = `raw${copies}x${round}`;
  const from = performance.now();
  const made = await host.engine("POST", "/networks/create", {
    Name: network,
    Driver: "bridge",
    IPAM: { Config: [{ Subnet: "10.200.0.0/24", Gateway: "10.200.0.1" }] },
  });
  assert.equal(made.status, 201);
  const ids: string[] = [];
  await inParallel([...Array(copies).keys()], CONCURRENCY, async (index) => {
    const body = {
      Image: IMAGE,
      Cmd: ["sleep", "100000"],
      Labels: { "bench.side": "raw" },
      HostConfig: {
        NetworkMode: network,
        Memory: MEMORY_BYTES,
        Init: true,
        Binds: ["/etc/resolv.conf:/etc/resolv.conf:ro"],
      },
      NetworkingConfig: {
        EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: `10.200.0.${index + 2}` } } },
      },
    };
    const { status, body: answer } = await host.engine("POST", "/containers/create", body);
    assert.equal(status, 201, JSON.stringify(answer));
    assert.ok(typeof answer === "object" && answer !== null && "Id" in answer);
    const id = String(answer.Id);
    const started = await host.engine("POST", `/containers/${id}/start`);
    assert.equal(started.status, 204);
    ids.push(id);
  });
  const tookMs = performance.now() - from;
  assert.equal((await host.running("bench.side=raw")).length, copies);
  await inParallel(ids, CONCURRENCY, async (id) => {
    await host.engine("DELETE", `/containers/${id}?force=true`);
  });
  await host.engine("DELETE", `/networks/${network}`);
  return tookMs;
}
