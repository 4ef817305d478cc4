/**
 * Dialogues with the command line: testdata/*.txt has commands after `$ `, each with everything that it said
 * back. `BERTH_GOLDEN=1` rewrites what was said; commit only differences that you can explain.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mock, test } from "node:test";
import { COMMANDS } from "./command-table.ts";
import {
  type CommandBench,
  seedMoreNodes,
  seedNetworks,
  seedShop,
  startCommandBench,
} from "./testing/command-bench.ts";
import { seedCertificates } from "./testing/seed-certificates.ts";

const FOLDER = join(import.meta.dirname, "testdata");

// Ages are columns, whose width would change with the day on which the test runs.
mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 0, 2, 3, 30) });

async function replay(text: string, bench: CommandBench): Promise<string> {
  const said: string[] = [];
  let isAnswer = false;
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("$ ")) {
      if (isAnswer) said.push("");
      said.push(line, ...(await bench.run(wordsOf(line.slice("$ berth ".length)))));
      isAnswer = true;
    } else if (line.startsWith("# ")) {
      if (isAnswer) said.push("");
      said.push(line);
      isAnswer = false;
    }
  }
  return `${said.join("\n")}\n`;
}

/** Words, with 'a b' as one. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

async function check(file: string, bench: CommandBench, text?: string): Promise<void> {
  const path = join(FOLDER, file);
  const before = text ?? readFileSync(path, "utf8");
  const after = await replay(before, bench);
  if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(path, after);
  else assert.equal(after, readFileSync(path, "utf8"));
}

const DIALOGUES = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

for (const file of DIALOGUES.filter((name) => name !== "help.txt")) {
  test(`dialogue ${file}`, async () => {
    const bench = await startCommandBench();
    try {
      writeFiles(bench);
      await seedShop(bench);
      await seedCertificates(bench.fixture);
      if (file === "forecasts.txt") await seedMoreNodes(bench);
      if (file === "networks.txt") await seedNetworks(bench);
      await check(file, bench);
    } finally {
      await bench.stop();
    }
  });
}

test("the help of every command", async () => {
  const bench = await startCommandBench();
  try {
    const lines = COMMANDS.map(({ words }) => `$ berth ${words} --help`);
    await check("help.txt", bench, ["$ berth help", ...lines].join("\n"));
  } finally {
    await bench.stop();
  }
});

function writeFiles(bench: CommandBench): void {
  bench.write(
    "compose.yaml",
    `name: shop
services:
  web:
    image: busybox:1
    deploy: {replicas: 3}
    environment: {GREETING: 你好}
  db:
    image: busybox:1
    volumes: [data:/data]
    logging: {driver: syslog}
volumes: {data: {}}
`,
  );
  bench.write("greeting.txt", "hello\n");
  writeTrace(bench);
  bench.write("garbage.pem", "this is no certificate\n");
  bench.write(
    "config.yaml",
    `name: shop
services:
  web:
    image: shop/web:\${TAG:-1}
    depends_on: [db]
    ports: ["8080:80"]
  db:
    image: postgres:16
    env_file: [{path: db.env, required: false}]
    volumes: [data:/var/lib/postgresql/data, ./init:/init:ro]
    deploy: {replicas: 1, resources: {limits: {memory: 1g}}}
  tools:
    build: ./tools
    profiles: [debug]
volumes: {data: {}, unused: {}}
`,
  );
  bench.write(
    "parameters.yaml",
    `name: blog
x-berth:
  parameters:
    DOMAIN: {description: where the blog answers, pattern: "[a-z.]+"}
    PORT: {type: integer, default: 8080}
    GREETING: {required: false}
    DB_PASSWORD: {generate: password, length: 24}
services:
  web:
    image: busybox:1
    environment: {DOMAIN: "\${DOMAIN}", GREETING: "\${GREETING}"}
    command: [httpd, -p, "\${PORT}", "\${DB_PASSWORD}"]
    secrets: [db]
secrets:
  db: {environment: DB_PASSWORD}
`,
  );
  bench.write(
    "external.yaml",
    `name: blog
services:
  web:
    image: busybox:1
    secrets: [db_password]
    configs: [{source: settings, target: /etc/app.conf}]
secrets:
  db_password: {external: true}
  unused: {external: true}
configs:
  settings: {external: true, name: app_conf}
`,
  );
  bench.write(
    "wrong.yaml",
    "services:\n  web:\n    image: a\n    depends_on: [dbb]\n  db:\n    imge: b\n",
  );
  bench.write("refused.yaml", "services:\n  web:\n    image: a\n    volumes: ['../up:/up']\n");
  bench.write("broken.yaml", "services:\n  web: [\n");
  bench.write("Upper/compose.yaml", "name: shop\nservices: {a: {image: b}}\n");
}

function writeTrace(bench: CommandBench): void {
  const lines = (...items: readonly object[]) =>
    items.map((item) => `${JSON.stringify(item)}\n`).join("");
  const gpu = { kind: "gpu", model: "T4", count: 2 };
  bench.write(
    "nodes.ndjson",
    lines(
      {
        id: "n1",
        cpuMillis: 4_000,
        memoryBytes: 8_000_000_000,
        devices: [gpu],
        topology: { zone: "a" },
      },
      { id: "n2", cpuMillis: 4_000, memoryBytes: 8_000_000_000, topology: { zone: "b" } },
    ),
  );
  bench.write(
    "asks.ndjson",
    lines(
      { id: "a", service: "web", cpuMillis: 3_000, memoryBytes: 1_000_000_000 },
      { id: "b", service: "web", cpuMillis: 1_000, devices: [{ kind: "gpu", shareMillis: 500 }] },
      { id: "c", service: "db", cpuMillis: 5_000 },
    ),
  );
  bench.write("placed.ndjson", lines({ ask: "a", node: "n2" }, { ask: "b", node: "n1" }));
  bench.write(
    "more.ndjson",
    lines({ id: "more", cpuMillis: 60_000 }, { id: "few", cpuMillis: 100 }),
  );
  bench.write(
    "urgent.ndjson",
    lines({ id: "low", cpuMillis: 4_000, priority: 10 }, { id: "high", cpuMillis: 4_000 }),
  );
  bench.write(
    "displaced.ndjson",
    lines(
      { ask: "low", node: "n1" },
      { ask: "low", displaced: { by: "high" } },
      { ask: "high", node: "n1" },
    ),
  );
  bench.write("wrong.ndjson", lines({ id: "a", cpuMilis: 3 }, { id: "b", antiAffinity: 3 }));
}
