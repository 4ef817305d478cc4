/** What cannot be deployed: the reason in clear words, the right exit code, and nothing half done. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { globSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { buffer } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { pack } from "tar-stream";
import { containersOfCluster, docker } from "./engine.ts";
import { isStopped, killAll, pidsOf } from "./platform-processes.ts";
import type { StackRow } from "./stack-rows.ts";
import { eventually, freePort, get, TestPlatform } from "./test-platform.ts";

let platform: TestPlatform;
const servers: { close(): void }[] = [];

before(async () => {
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(async () => {
  for (const server of servers) server.close();
  await platform.uninstall();
});

interface BadCase {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly code: number;
  /** Every one stands in what is written to stderr. */
  readonly says: readonly RegExp[];
  /** Accepted, and waits: what `berth explain` says about it. */
  readonly explains?: readonly RegExp[];
}

const service = (more: string) =>
  `services:\n  web:\n    image: berth/busybox\n    command: [sleep, "1000"]\n    stop_signal: SIGKILL\n${more}`;

const CASES: readonly BadCase[] = [
  {
    name: "broken YAML",
    files: { "compose.yaml": "services:\n  web: [unclosed\n" },
    code: 2,
    says: [/compose\.yaml:\d+/],
  },
  {
    name: "an unknown key, with the nearest known one",
    files: { "compose.yaml": service("    enviroment: { A: b }\n") },
    code: 2,
    says: [/compose\.yaml:6/, /enviroment/, /environment/],
  },
  {
    name: "a value of the wrong kind",
    files: { "compose.yaml": service("    deploy: { replicas: many }\n") },
    code: 2,
    says: [/compose\.yaml:6/, /replicas/],
  },
  {
    name: "a circle of dependencies",
    files: {
      "compose.yaml":
        "services:\n  a: { image: x, depends_on: [b] }\n  b: { image: x, depends_on: [a] }\n",
    },
    code: 2,
    says: [/a/, /b/, /depend/],
  },
  {
    name: "a dependency that does not exist",
    files: { "compose.yaml": service("    depends_on: [databse]\n") },
    code: 2,
    says: [/databse/],
  },
  {
    name: "a variable that is required and missing",
    files: {
      "compose.yaml": service(`    environment: { KEY: '\${KEY_OF_TEST:?set the key}' }\n`),
    },
    code: 2,
    says: [/KEY_OF_TEST/, /set the key/],
  },
  {
    name: "an image that is nowhere",
    files: { "compose.yaml": "services: { web: { image: 'berth.invalid/none:1' } }\n" },
    code: 1,
    says: [/berth\.invalid\/none/, /nothing was changed/],
  },
  {
    name: "a file that is missing",
    files: {
      "compose.yaml": service(
        "    volumes: ['./gone.conf:/etc/app.conf:ro']\n    env_file: ./gone.env\n",
      ),
    },
    code: 2,
    says: [/gone\.env/],
  },
  {
    name: "a secret over its limit",
    files: {
      "compose.yaml": `${service("    secrets: [key]\n")}secrets: { key: { file: ./key } }\n`,
      key: "x".repeat(500 * 1024 + 1),
    },
    code: 1,
    says: [/key/, /at most 500 KiB/],
  },
  {
    name: "a path of the host that the policy does not allow",
    files: { "compose.yaml": service("    volumes: ['/etc:/host:ro']\n") },
    code: 4,
    says: [
      /compose\.yaml:\d+:\d+ {2}services\.web\.volumes\[0\]/,
      /berth project policy .*--allow host-mounts/,
    ],
  },
  {
    name: "privileges that the policy does not allow",
    files: { "compose.yaml": service("    privileged: true\n") },
    code: 4,
    says: [/privileged/],
  },
  {
    name: "start-first for a service that writes a volume of its own",
    files: {
      "compose.yaml": `${service("    volumes: ['data:/data']\n    deploy: { update_config: { order: start-first } }\n")}volumes: { data: {} }\n`,
    },
    code: 2,
    says: [/compose\.yaml:7/, /update_config\.order/, /start-first/, /stop-first/],
  },
  {
    name: "more memory than any machine has",
    files: {
      "compose.yaml": service("    deploy: { resources: { reservations: { memory: 900g } } }\n"),
    },
    code: 1,
    says: [/berth explain bad12/],
    explains: [/memory/, /900 GiB/, /node-1|1 node/],
  },
];

async function assertNothingOf(stack: string): Promise<void> {
  const rows = await platform.json<StackRow>("ps");
  const row = rows.find((one) => one.stack.stack === stack);
  assert.ok((row?.services ?? []).every(({ ready }) => ready === 0));
  assert.deepEqual(containersOfCluster(platform.cluster), []);
}

for (const [index, { name, files, code, says, explains = [] }] of CASES.entries()) {
  test(`refused: ${name}`, async () => {
    const stack = `bad${index}`;
    const folder = platform.project(stack, files);
    const words = ["deploy", "-f", `${folder}/compose.yaml`, "--stack", stack, "--timeout", "8s"];
    const result = await platform.berth(...words);
    assert.equal(result.code, code, result.stdout + result.stderr);
    for (const word of says) assert.match(result.stderr, word);
    assert.doesNotMatch(result.stderr, /\n\s+at .*\.(ts|mjs):\d+/, "no stack trace for the reader");
    for (const word of explains) assert.match(await platform.must("explain", stack), word);
    await assertNothingOf(stack);
  });
}

/** A registry that knows one user. */
function privateRegistry(): Promise<number> {
  const registry: Server = createServer((request, response) => {
    const given = request.headers.authorization;
    const right = `Basic ${Buffer.from("ann:right").toString("base64")}`;
    if (given === right) response.writeHead(404).end();
    else {
      const headers = {
        "www-authenticate": 'Basic realm="private"',
        "content-type": "application/json",
      };
      response
        .writeHead(401, headers)
        .end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    }
  });
  servers.push(registry);
  return new Promise((resolve) => {
    registry.listen(0, "127.0.0.1", () => {
      const address = registry.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

test("refused: an image of a registry that wants other credentials", async () => {
  const port = await privateRegistry();
  const compose = `services: { web: { image: "127.0.0.1:${port}/private/app:1" } }\n`;
  const { code, stderr } = await platform.deploy("private", compose, "--timeout", "30s");
  assert.equal(code, 1, stderr);
  assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port}/private/app:1`));
  assert.match(stderr, /credential|authenti|unauthorized|denied/i);
  await assertNothingOf("private");
});

test("refused: a published port that a foreign process holds; it is taken once it is free", async () => {
  const holder = createTcpServer();
  servers.push(holder);
  const port = await freePort();
  await once(holder.listen(port, "0.0.0.0"), "listening");
  const compose = service(`    ports: ["${port}:8080"]\n`).replace(
    '[sleep, "1000"]',
    '[httpd, -f, -p, "8080"]',
  );
  const refused = await platform.deploy("port", compose, "--timeout", "30s");
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(
    refused.stderr,
    new RegExp(`port ${port}/tcp is held by node \\(process ${process.pid}\\)`),
  );
  assert.match(refused.stderr, /nothing was changed/);
  await assertNothingOf("port");
  holder.close();
  const taken = await platform.deploy("port", compose, "--timeout", "30s");
  assert.equal(taken.code, 0, taken.stderr);
  await eventually("the service answers there", async () => {
    return (await get({ port, path: "/" })).status === 404;
  });
  await platform.must("stack", "rm", "port", "--yes");
  await assertNothingOf("port");
});

test("a port that a foreign process takes while HAProxy is dead is named by the doctor", async () => {
  const port = await freePort();
  const compose = service(`    ports: ["${port}:8080"]\n`).replace(
    '[sleep, "1000"]',
    '[httpd, -f, -p, "8080"]',
  );
  assert.equal((await platform.deploy("away", compose, "--timeout", "30s")).code, 0);
  const nets = pidsOf(platform.dataDir, "net");
  const holder = createTcpServer();
  servers.push(holder);
  try {
    for (const pid of nets) process.kill(pid, "SIGSTOP");
    // The kernel takes up to a quarter of a second for it; net would start HAProxy again meanwhile.
    await eventually("net stands still", () => nets.every(isStopped));
    await killAll(platform.dataDir, "haproxy");
    await once(holder.listen(port, "0.0.0.0"), "listening");
  } finally {
    for (const pid of nets) process.kill(pid, "SIGCONT");
  }
  await eventually("the doctor names the port and its holder", async () => {
    const { stdout } = await platform.berth("platform", "doctor");
    return new RegExp(`port 0\\.0\\.0\\.0:${port} is held by .*${process.pid}`).test(stdout);
  });
  holder.close();
  await eventually("the service answers there again", async () => {
    return (await get({ port, path: "/" })).status === 404;
  });
  await platform.must("stack", "rm", "away", "--yes");
  await assertNothingOf("away");
});

test("refused: a host, and a port, that another stack has; the message names the holder", async () => {
  const port = await freePort();
  const compose = service(
    `    ports: ["${port}:8080"]\n    x-berth: { min_healthy: 100ms, probes: { ready: { exec: ["true"] } }, routes: [{ host: taken.localhost, port: 8080 }] }\n`,
  );
  const first = await platform.deploy("holder", compose);
  assert.equal(first.code, 0, first.stderr);
  const second = await platform.deploy("other", compose);
  assert.equal(second.code, 1, second.stderr);
  assert.match(second.stderr, /taken\.localhost|published|port/);
  assert.match(second.stderr, /holder/);
  const rows = await platform.json<StackRow>("ps");
  assert.deepEqual(
    rows.filter(({ stack }) => stack.stack === "other").flatMap(({ services }) => services),
    [],
  );
  await platform.must("stack", "rm", "holder", "--yes");
});

test("refused at the door: missing and forged tokens, on every route but /healthz", async () => {
  const ask = (path: string, headers: Record<string, string> = {}) =>
    get({ port: platform.port, path, headers });
  assert.equal((await ask("/healthz")).status, 200);
  const forged = `${platform.token.slice(0, -1)}${platform.token.endsWith("a") ? "b" : "a"}`;
  for (const path of ["/v1/version", "/v1/openapi.json", "/metrics", "/readyz", "/v1/nodes"]) {
    for (const headers of [
      {},
      { authorization: `Bearer ${forged}` },
      { authorization: "Basic eDp5" },
    ]) {
      const answer = await ask(path, headers);
      assert.equal(answer.status, 401, path);
      assert.equal(JSON.parse(answer.body).code, "unauthenticated");
    }
  }
  const cli = await platform.berthWith({ environment: { BERTH_TOKEN: forged } }, "ps");
  assert.equal(cli.code, 4, cli.stderr);
  const noServer = await platform.berthWith(
    { environment: { BERTH_URL: `http://127.0.0.1:${await freePort()}`, BERTH_TOKEN: forged } },
    "ps",
  );
  assert.equal(noServer.code, 3, noServer.stderr);
});

test("refused at the door: bodies over the limit and bytes that are not what they say", async () => {
  const send = (method: string, path: string, body: string, type = "application/json") =>
    get({
      port: platform.port,
      method,
      path,
      body,
      headers: {
        authorization: `Bearer ${platform.token}`,
        "content-type": type,
        "content-length": String(Buffer.byteLength(body)),
      },
    });
  const deployments = "/v1/projects/default/environments/main/stacks/big/deployments";
  const big = await send("POST", deployments, `{"spec": "${"x".repeat(9 * 1024 * 1024)}"}`);
  assert.equal(big.status, 413, big.body);
  assert.equal(JSON.parse(big.body).code, "body_too_large");
  const digest = `sha256:${createHash("sha256").update("other bytes").digest("hex")}`;
  const wrong = await send("PUT", `/v1/blobs/${digest}`, "these bytes", "application/octet-stream");
  assert.equal(wrong.status, 400, wrong.body);
  const path = await send(
    "PUT",
    "/v1/blobs/..%2f..%2fadmin.token",
    "x",
    "application/octet-stream",
  );
  assert.equal(path.status, 400, path.body);
  const noJson = await send("POST", deployments, "{");
  assert.equal(noJson.status, 400, noJson.body);
});

interface ReleaseRow {
  readonly services: Readonly<Record<string, { readonly spec: unknown }>>;
  readonly networks: unknown;
  readonly volumes: unknown;
  readonly configs: unknown;
}

/** An archive whose members want to lie outside of where it is unpacked. */
async function escapingArchive(marker: string): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: "index.html" }, "harmless\n");
  archive.entry({ name: `../${marker}` }, "out\n");
  archive.entry({ name: `../../../../../../../../tmp/${marker}` }, "out\n");
  archive.entry({ name: `/tmp/${marker}` }, "out\n");
  archive.entry({ name: "link", type: "symlink", linkname: "/tmp" });
  archive.entry({ name: `link/${marker}` }, "out\n");
  archive.finalize();
  return buffer(archive);
}

test("refused: a directory object whose members lead outside of it", async () => {
  const folder = platform.project("files", {
    "compose.yaml": service(
      "    volumes: ['./www:/www:ro']\n    x-berth: { min_healthy: 100ms }\n",
    ),
    "www/index.html": "good\n",
  });
  await platform.must("deploy", "-f", `${folder}/compose.yaml`, "--stack", "files");
  const base = "/v1/projects/default/environments/main/stacks/files";
  const { body } = await platform.api("GET", `${base}/releases/1`);
  const { services, networks, volumes, configs }: ReleaseRow = JSON.parse(body);
  const specs = Object.entries(services).map(([name, service]) => [name, service.spec]);
  const spec = { services: Object.fromEntries(specs), networks, volumes, configs, secrets: {} };
  const good = /"digest":"(sha256:[0-9a-f]{64})","form":"directory"/.exec(
    JSON.stringify(spec),
  )?.[1];
  assert.ok(good, body);
  const marker = `escaped-${platform.cluster}`;
  const bytes = await escapingArchive(marker);
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const send = (method: string, path: string, body: Buffer, type: string) =>
    get({
      port: platform.port,
      method,
      path,
      body,
      headers: {
        authorization: `Bearer ${platform.token}`,
        "content-type": type,
        "content-length": String(body.length),
        "idempotency-key": marker,
      },
    });
  const put = await send("PUT", `/v1/blobs/${digest}`, bytes, "application/octet-stream");
  assert.ok(put.status < 300, put.body);
  const forged = JSON.stringify({ spec }).replaceAll(good, digest);
  const deployment = await send(
    "POST",
    `${base}/deployments`,
    Buffer.from(forged),
    "application/json",
  );
  assert.ok(deployment.status < 300, deployment.body);
  await eventually("the release has failed and the good one is back", async () => {
    const rows = await platform.json<StackRow>("ps");
    const row = rows.find(({ stack }) => stack.stack === "files");
    return row?.stack.rollout?.state === "rolled-back";
  });
  const places = ["/tmp", "/run", platform.dataDir].flatMap((place) =>
    globSync(`${place}/**/${marker}`),
  );
  assert.deepEqual(places, []);
  await platform.must("stack", "rm", "files", "--yes");
});

test("wrong words are explained, with code 2", async () => {
  for (const words of [["deplyo"], ["deploy", "--no-such"], ["scale", "web"], ["logs"]]) {
    const { code, stderr } = await platform.berth(...words);
    assert.equal(code, 2, `${words.join(" ")}: ${stderr}`);
  }
  assert.match((await platform.berth("deplyo")).stderr, /deploy/);
});

test("two clusters share an engine, and each touches its own only", async () => {
  const other = await TestPlatform.start();
  try {
    const compose = service("    x-berth: { min_healthy: 100ms }\n");
    const results = await Promise.all([
      platform.deploy("both", compose),
      other.deploy("both", compose),
    ]);
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    const own = containersOfCluster(platform.cluster);
    assert.equal(own.length, 1);
    assert.equal(containersOfCluster(other.cluster).length, 1);
    await other.must("stack", "rm", "both", "--yes");
    await eventually("the engine has removed it", () => {
      return containersOfCluster(other.cluster).length === 0;
    });
    await other.uninstall();
    assert.deepEqual(containersOfCluster(platform.cluster), own);
    assert.equal(docker("inspect", "-f", "{{.State.Running}}", own[0] ?? "").trim(), "true");
    assert.match(await platform.must("ps"), /both\/web/);
  } finally {
    await other.uninstall().catch(() => {});
  }
  await platform.must("stack", "rm", "both", "--yes");
});
