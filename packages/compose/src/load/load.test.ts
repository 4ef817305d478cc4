import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import { formatProblem } from "../problem.ts";
import { type LoadOptions, type LoadResult, loadCompose } from "./load.ts";

function load(
  files: Readonly<Record<string, string>>,
  options: Partial<LoadOptions> = {},
): LoadResult {
  return loadCompose({
    files: ["/p/compose.yaml"],
    environment: {},
    fs: memoryFiles(files),
    ...options,
  });
}

function one(text: string, options: Partial<LoadOptions> = {}): LoadResult {
  return load({ "/p/compose.yaml": text }, options);
}

function problemsOf(result: LoadResult): readonly string[] {
  return result.ok ? [] : result.problems.map(formatProblem);
}

test("a small stack loads with its long forms and plain units", () => {
  const result = one(`
services:
  web:
    image: nginx
    command: echo "a b"
    ports: ["8080:80"]
    volumes: ["./site:/srv:ro", "data:/data"]
    deploy: {resources: {limits: {cpus: "0.5", memory: 64m}}}
    healthcheck: {test: curl -f http://localhost, interval: 1m30s}
    restart: on-failure:5
volumes: {data: }
`);
  assert.ok(result.ok);
  const { web } = result.project.services;
  assert.deepEqual(web, {
    image: "nginx",
    command: ["echo", "a b"],
    ports: [{ mode: "ingress", target: 80, published: "8080", protocol: "tcp" }],
    volumes: [
      {
        type: "bind",
        source: { path: "/p/site", original: "./site", relative: true, escapesProject: false },
        target: "/srv",
        readOnly: true,
        bind: { createHostPath: true },
      },
      { type: "volume", source: "data", target: "/data", volume: {} },
    ],
    deploy: { resources: { limits: { cpuMillis: 500, memoryBytes: 64 * 1024 * 1024 } } },
    healthcheck: { test: ["CMD-SHELL", "curl -f http://localhost"], intervalMs: 90_000 },
    restart: { policy: "on-failure", maxRetries: 5 },
    networks: { default: { nameOnly: true } },
  });
});

test("all problems of a file come at once, with place and suggestion", () => {
  const result = one(`services:
  web:
    image: nginx
    depends_on: [dbb]
    ports:
      - "8080:http"
    replicas: 3
  db:
    imag: x
`);
  assert.deepEqual(
    problemsOf(result),
    [
      '/p/compose.yaml:6:9  services.web.ports[0]   "8080:http": "http" is not a port; expected [[ADDRESS:]HOST:]CONTAINER[/tcp|udp], numbers or ranges',
      "/p/compose.yaml:7:5  services.web.replicas   unknown key; did you mean deploy.replicas?",
      '/p/compose.yaml:4:18  services.web.depends_on.dbb   there is no service "dbb"; did you mean db?',
      "/p/compose.yaml:9:5  services.db.imag   unknown key; did you mean image?",
    ].toSorted((a, b) => lineOf(a) - lineOf(b)),
  );
});

function lineOf(line: string): number {
  return Number(line.split(":")[1]);
}

test("environment values arrive byte for byte", () => {
  const value = 'a\'b"c\\n\n$$HOME {"k": [1]} – ü 世界 \t#x';
  const result = one(
    `services:\n  web:\n    image: x\n    environment:\n      V: ${JSON.stringify(value)}\n`,
  );
  assert.ok(result.ok);
  assert.equal(result.project.services["web"]?.environment?.["V"], value.replace("$$", "$"));
});
