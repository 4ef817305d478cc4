/**
 * How fast stacks load: 500 services (goal: 100 ms, warm process), and a file of 10 MB (goal: 2 s).
 *
 * Prints p50 and p99 over the runs; every run checks that the work was done.
 */

import assert from "node:assert/strict";
import { loadCompose, memoryFiles, printCanonical } from "../src/index.ts";

const RUNS = 15;

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

function measure(name: string, text: string, services: number, runs: number): void {
  const times: number[] = [];
  const fs = memoryFiles({ "/p/compose.yaml": text });
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    const result = loadCompose({ files: ["/p/compose.yaml"], environment: {}, fs });
    times.push(performance.now() - start);
    assert.ok(result.ok, JSON.stringify(!result.ok && result.problems.slice(0, 3)));
    assert.equal(Object.keys(result.project.services).length, services);
  }
  times.sort((left, right) => left - right);
  const at = (share: number) =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(1);
  const size = (text.length / 1e6).toFixed(2);
  console.log(
    `${name.padEnd(28)} ${size} MB  first-fastest ${at(0)} ms  p50 ${at(0.5)} ms  p99 ${at(0.99)} ms`,
  );
}

const started = performance.now();
const stack = stackText(500);
const fs = memoryFiles({ "/p/compose.yaml": stack });
const cold = loadCompose({ files: ["/p/compose.yaml"], environment: {}, fs });
console.log(`500 services, first load      ${(performance.now() - started).toFixed(1)} ms`);
assert.ok(cold.ok);
measure("500 services", stack, 500, RUNS);
const printed = performance.now();
assert.ok(printCanonical(cold.project, "json").length > stack.length);
console.log(`500 services, printed         ${(performance.now() - printed).toFixed(1)} ms`);

const comment = `# ${"x".repeat(97)}\n`;
measure("10 MB of comments", `${stack}${comment.repeat(96_000)}`, 500, 3);
const blob = `x-data: "${"lorem ipsum ".repeat(790_000)}"\n`;
measure("10 MB of one text", `${stack}${blob}`, 500, 3);
const large = stackText(5_000);
measure("5,000 services", large, 5_000, 3);
const list = Array.from(
  { length: 230_000 },
  (_, index) => `  - {name: item-${index}, v: ${index}}\n`,
);
measure("10 MB of small values", `${stack}x-list:\n${list.join("")}`, 500, 3);
