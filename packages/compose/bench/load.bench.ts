/**
 * How fast stacks load: 500 services (goal: 100 ms at the first load after the start), and files of 10 MB (goal: 2 s).
 *
 *   node packages/compose/bench/load.bench.ts [--peer PATH] [--json]
 *
 * Prints the least, p50 and p99 over the runs; every run checks that the work was done. `--peer` is a `docker-compose`
 * program, which reads the same files with `config -q`, its start of some 30 ms included.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadCompose, memoryFiles, printCanonical } from "../src/index.ts";

const RUNS = 15;
const LARGE_RUNS = 3;
/** For some of these the peer needs minutes and gigabytes. */
const PEER_TIMEOUT_MS = 20_000;

const { values } = parseArgs({
  options: { peer: { type: "string" }, json: { type: "boolean", default: false } },
});

function service(index: number): string {
  const previous =
    index === 0 ? "" : `    depends_on:\n      s${index - 1}: {condition: service_healthy}\n`;
  return `  s${index}:
    image: registry.example.com/team/service-${index}:1.2.3
    command: ["serve", "--port", "8080", "--name", "s${index}"]
    environment:
      LOG_LEVEL: \${LOG_LEVEL:-info}
      DATABASE_URL: "postgres://user:pass@db-${index}:5432/app"
      WORKERS: 4
    ports:
      - "${10_000 + index}:8080"
    volumes:
      - data-${index}:/var/lib/data
      - ./config/s${index}.yaml:/etc/app/config.yaml:ro
    healthcheck:
      test: ["CMD", "wget", "-q", "-O-", "http://127.0.0.1:8080/healthz"]
      interval: 10s
      retries: 3
    deploy:
      replicas: 2
      resources: {limits: {cpus: "0.5", memory: 256M}}
${previous}`;
}

/** A stack of `count` services. */
export function stackText(count: number): string {
  const indexes = Array.from({ length: count }, (_, index) => index);
  const volumes = indexes.map((index) => `  data-${index}: {}\n`).join("");
  return `services:\n${indexes.map(service).join("")}volumes:\n${volumes}`;
}

/** One load with a check of it, in milliseconds. */
function loadMs(text: string, services: number): number {
  const fs = memoryFiles({ "/p/compose.yaml": text });
  const start = performance.now();
  const result = loadCompose({ files: ["/p/compose.yaml"], environment: {}, fs });
  const took = performance.now() - start;
  assert.ok(result.ok, JSON.stringify(!result.ok && result.problems.slice(0, 3)));
  assert.equal(Object.keys(result.project.services).length, services);
  return took;
}

/** The same by the peer, as a process; it may refuse what it has no memory or patience for. */
function peerMs(peer: string, text: string, services: number): number | string {
  const folder = mkdtempSync(join(tmpdir(), "berth-load-"));
  try {
    writeFileSync(join(folder, "compose.yaml"), text);
    const options = { cwd: folder, encoding: "utf8", timeout: PEER_TIMEOUT_MS } as const;
    const start = performance.now();
    const { status, stderr } = spawnSync(peer, ["config", "-q"], options);
    const took = performance.now() - start;
    if (status === null) return `not within ${PEER_TIMEOUT_MS / 1000} s`;
    if (status !== 0) return `refuses it: ${stderr.trim().slice(0, 80)}`;
    const { stdout } = spawnSync(peer, ["config", "--services"], options);
    assert.equal(stdout.trim().split("\n").length, services);
    return took;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measure(name: string, text: string, services: number, runs: number): void {
  const before = process.cpuUsage();
  const times = Array.from({ length: runs }, () => loadMs(text, services)).sort((a, b) => a - b);
  const used = process.cpuUsage(before);
  // On a machine that is shared this says more than the clock.
  const processorMs = (used.user + used.system) / 1000 / runs;
  const peer = values.peer === undefined ? undefined : peerMs(values.peer, text, services);
  if (values.json) {
    console.log(
      JSON.stringify({ bench: "load", name, bytes: text.length, times, processorMs, peer }),
    );
    return;
  }
  const at = (share: number) =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(1);
  const size = (text.length / 1e6).toFixed(2);
  const beside = typeof peer === "number" ? `${peer.toFixed(0)} ms` : peer;
  console.log(
    `${name.padEnd(26)} ${size.padStart(5)} MB  least ${at(0)} ms  p50 ${at(0.5)} ms  p99 ${at(0.99)} ms  processor ${processorMs.toFixed(0)} ms${
      beside === undefined ? "" : `  peer ${beside}`
    }`,
  );
}

const stack = stackText(500);
measure("500 services, first load", stack, 500, 1);
measure("500 services, warm", stack, 500, RUNS);
const result = loadCompose({
  files: ["/p/compose.yaml"],
  environment: {},
  fs: memoryFiles({ "/p/compose.yaml": stack }),
});
assert.ok(result.ok);
const printing = performance.now();
assert.ok(printCanonical(result.project, "json").length > stack.length);
if (!values.json)
  console.log(`500 services, printed      ${(performance.now() - printing).toFixed(1)} ms`);

const comment = `# ${"x".repeat(97)}\n`;
measure("10 MB of comments", `${stack}${comment.repeat(96_000)}`, 500, LARGE_RUNS);
const blob = `x-data: "${"lorem ipsum ".repeat(790_000)}"\n`;
measure("10 MB of one text", `${stack}${blob}`, 500, LARGE_RUNS);
const large = stackText(5_000);
measure("5,000 services", large, 5_000, LARGE_RUNS);
const list = Array.from(
  { length: 230_000 },
  (_, index) => `  - {name: item-${index}, v: ${index}}\n`,
);
measure("10 MB of small values", `${stack}x-list:\n${list.join("")}`, 500, LARGE_RUNS);
const variables = Array.from({ length: 280_000 }, (_, index) => `  - \${UNSET:-value-${index}}\n`);
measure("10 MB of variables", `${stack}x-list:\n${variables.join("")}`, 500, LARGE_RUNS);

/** Small files that ask for endless work: refusing them must cost as little as reading a large one. */
const HOSTILE: readonly (readonly [name: string, text: string, problem: RegExp])[] = [
  ["aliases of aliases", laughs(), /aliases repeat more than/],
  ["50,000 brackets", `x-a: ${"[".repeat(50_000)}`, /deeper than|is not YAML/],
  [
    "ranges of ports",
    `services: {w: {image: x, ports: [${'"1-65535", '.repeat(100_000)}]}}`,
    /stand for more than/,
  ],
  [
    "a large service extended",
    `services:\n  base: {image: x, cap_add: [${"x, ".repeat(3000)}]}\n${Array.from(
      { length: 4000 },
      (_, index) => `  s${index}: {extends: base}\n`,
    ).join("")}`,
    /says more than/,
  ],
  ["mistakes in every line", "services:\n  web:\n    image nginx\n".repeat(4_000), /./],
];

function laughs(): string {
  const row = (name: string, item: string) =>
    `x-${name}: &${name} [${Array.from({ length: 10 }, () => item).join(", ")}]\n`;
  return [..."abcdefghi"]
    .map((name, level, names) => row(name, level === 0 ? "x" : `*${names[level - 1]}`))
    .join("");
}

for (const [name, text, problem] of HOSTILE) {
  const before = process.cpuUsage();
  const refused = loadCompose({
    files: ["/p/compose.yaml"],
    environment: {},
    fs: memoryFiles({ "/p/compose.yaml": text }),
  });
  const { user, system } = process.cpuUsage(before);
  const processorMs = (user + system) / 1000;
  assert.match(refused.ok ? "" : (refused.problems[0]?.message ?? ""), problem, name);
  console.log(
    values.json
      ? JSON.stringify({ bench: "load", name, bytes: text.length, processorMs })
      : `${name.padEnd(26)} ${(text.length / 1e6).toFixed(2).padStart(5)} MB  refused  processor ${processorMs.toFixed(0)} ms`,
  );
}
