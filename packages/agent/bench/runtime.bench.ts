/**
 * Create and start through the runtime port against the same calls made raw over one kept socket, in turns
 * in one run, with the same options. Prints p50, p90, the ratio and our processor time a container.
 *
 * `node packages/agent/bench/runtime.bench.ts [containers a turn] [concurrency] [turns]`
 */

import { buildBusybox, removeAll } from "../e2e/runtime-lab.ts";
import { dockerRuntime } from "../src/runtime/docker.ts";
import { createCall } from "../src/runtime/docker-create.ts";
import { type ContainerRequest, LABEL_CLUSTER, LABEL_TASK } from "../src/runtime/port.ts";

const http = process.getBuiltinModule("node:http");
const count = Number(process.argv[2] ?? 4);
const concurrency = Number(process.argv[3] ?? 1);
const turns = Number(process.argv[4] ?? 5);
const cluster = `bench${process.pid}`;
const runtime = dockerRuntime();
const { apiVersion } = await runtime.info();
const image = await buildBusybox(runtime, cluster);
const agent = new http.Agent({ keepAlive: true });
const networkId = "0bb0bb0b";

interface Sample {
  readonly createMs: number;
  readonly startMs: number;
}

function requestOf(name: string, number: number): ContainerRequest {
  const [high, low] = [1 + (number >> 8), number & 255];
  const mac = [0x02, 0x42, 10, 249, high, low].map((byte) => byte.toString(16).padStart(2, "0"));
  const address = `10.249.${high}.${low}`;
  return {
    name,
    labels: { [LABEL_CLUSTER]: cluster, [LABEL_TASK]: name },
    imageId: image.imageId,
    command: ["sleep", "100000"],
    environment: Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`KEY_${index}`, "value"]),
    ),
    engine: {},
    limits: { memoryBytes: 64 * 1024 * 1024 },
    mounts: [],
    network: { kind: "networks", attachments: [{ networkId, address, mac: mac.join(":") }] },
    stopGraceMs: 1_000,
  };
}

function post(path: string, body?: unknown): Promise<string> {
  const bytes = body === undefined ? "" : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        socketPath: "/var/run/docker.sock",
        method: "POST",
        path,
        agent,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(bytes) },
      },
      (message) => {
        const parts: Buffer[] = [];
        message.on("data", (part: Buffer) => parts.push(part));
        message.on("end", () => resolve(Buffer.concat(parts).toString()));
      },
    );
    request.on("error", reject);
    request.end(bytes);
  });
}

async function ours(number: number): Promise<Sample> {
  const begun = performance.now();
  const { id } = await runtime.createContainer(requestOf(`${cluster}-o${number}`, number));
  const created = performance.now();
  await runtime.startContainer(id);
  return { createMs: created - begun, startMs: performance.now() - created };
}

async function raw(number: number): Promise<Sample> {
  const name = `${cluster}-r${number}`;
  const { body } = createCall(requestOf(name, number), apiVersion, { entrypoint: [] });
  const begun = performance.now();
  const answer = await post(`/v${apiVersion}/containers/create?name=${name}`, body);
  const created = performance.now();
  await post(`/v${apiVersion}/containers/${JSON.parse(answer).Id}/start`);
  return { createMs: created - begun, startMs: performance.now() - created };
}

async function batch(run: (number: number) => Promise<Sample>, first: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  let next = first;
  const worker = async () => {
    while (next < first + count) samples.push(await run(next++));
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return samples;
}

function percentile(values: readonly number[], share: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1);
}

async function measured(label: string, run: (number: number) => Promise<Sample>, first: number) {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  const samples = await batch(run, first);
  const elapsedMs = performance.now() - begun;
  const used = process.cpuUsage(cpu);
  const cpuMs = (used.user + used.system) / 1_000 / count;
  const running = (await runtime.listContainers(cluster)).filter(
    ({ phase }) => phase === "running",
  );
  if (running.length !== count) throw new Error(`${running.length} of ${count} run`);
  const total = samples.map((sample) => sample.createMs + sample.startMs);
  console.log(
    `${label} p50/p90 ${percentile(total, 0.5)}/${percentile(total, 0.9)} ms,`,
    `create p50 ${percentile(
      samples.map((sample) => sample.createMs),
      0.5,
    )},`,
    `${((count / elapsedMs) * 1_000).toFixed(1)}/s, cpu ${cpuMs.toFixed(2)} ms each`,
  );
  const containers = await runtime.listContainers(cluster);
  await Promise.all(containers.map(({ id }) => runtime.removeContainer(id)));
  return elapsedMs;
}

try {
  await runtime.ensureNetwork({
    id: networkId,
    cluster,
    bridge: `bb${process.pid}`,
    subnet: "10.249.0.0/16",
    gateway: "10.249.0.1",
    internal: false,
  });
  const totals = { raw: 0, ours: 0 };
  for (let round = 0; round < turns; round++) {
    totals.raw += await measured("raw ", raw, round * 2 * count);
    totals.ours += await measured("ours", ours, (round * 2 + 1) * count);
  }
  console.log(`ratio ours/raw ${(totals.ours / totals.raw).toFixed(3)}`);
} finally {
  await removeAll(runtime, cluster);
  await runtime.removeImage(image.imageId);
  runtime.close();
  agent.destroy();
}
