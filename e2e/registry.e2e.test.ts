/** Images of a registry that asks who one is: login by command, deploy, build on a private base, logout. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openRegistry, type PrivateRegistry } from "../packages/agent/e2e/private-registry.ts";
import { docker } from "./engine.ts";
import { TestPlatform } from "./test-platform.ts";

const PASSWORD = "pa:ss\"w'ord $x";
let platform: TestPlatform;
let registry: PrivateRegistry;
let image: string;

before(async () => {
  registry = await openRegistry("ci", PASSWORD);
  image = `${registry.address}/team/base:1`;
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
  pushAs("berth/busybox", image);
});

after(async () => {
  await platform.uninstall();
  await registry.close();
});

/** By the engine's own client, with a configuration of the test's own. */
function pushAs(from: string, to: string): void {
  const config = join(platform.folder, "docker-config");
  mkdirSync(config, { recursive: true });
  const words = ["--config", config, "login", registry.address, "-u", "ci", "--password-stdin"];
  execFileSync("docker", words, { input: PASSWORD, stdio: ["pipe", "ignore", "ignore"] });
  docker("tag", from, to);
  docker("--config", config, "push", to);
  docker("rmi", to);
}

function login(password: string, ...words: string[]): string {
  const argv = ["registry", "login", registry.address, "-u", "ci", "--password-stdin", ...words];
  return execFileSync(join(import.meta.dirname, "..", "berth"), argv, {
    env: platform.environment,
    input: `${password}\n`,
    stdio: ["pipe", "pipe", "pipe"],
  }).toString();
}

const COMPOSE = () => `services:
  app: { image: "${image}", command: ["sleep", "1000"], stop_grace_period: 0s,
         x-berth: { min_healthy: 0s } }
`;

test("without a login the image is refused, and the words say how to log in", async () => {
  const { code, stderr } = await platform.deploy("app", COMPOSE());
  assert.equal(code, 1, stderr);
  assert.match(stderr, /unauthorized|no basic auth|denied/i);
  assert.match(stderr, /berth registry login/);
});

test("a wrong password is refused by the registry", async () => {
  login("wrong");
  const { code, stderr } = await platform.deploy("app", COMPOSE());
  assert.equal(code, 1, stderr);
  assert.match(stderr, /unauthorized|denied/i);
});

test("with the login the image is pulled by digest, and runs", async () => {
  assert.match(login(PASSWORD), /ci at 127\.0\.0\.1:\d+ is kept for every project/);
  const { code, stderr } = await platform.deploy("app", COMPOSE());
  assert.equal(code, 0, stderr);
  assert.match(docker("image", "ls", "--digests", `${registry.address}/team/base`), /sha256:/);
});

test("a build takes its private base image", async () => {
  const folder = platform.project("built", {
    "compose.yaml": `services:
  app: { build: ., command: ["cat", "/added"], restart: "no" }
`,
    Dockerfile: `FROM ${registry.address}/team/base:2\nCOPY added /added\n`,
    added: "built on a private base\n",
  });
  pushAs("berth/busybox", `${registry.address}/team/base:2`);
  await platform.must("deploy", "-f", join(folder, "compose.yaml"), "--stack", "built");
  assert.match(await platform.must("logs", "built/app"), /built on a private base/);
});

test("a list tells names, and neither it nor the store nor a log the password", async () => {
  const [item, ...others] = await platform.json<Record<string, unknown>>("registry", "ls");
  assert.deepEqual(others, []);
  const { updatedAt: _when, ...rest } = item ?? {};
  assert.deepEqual(rest, { server: registry.address, username: "ci" });
  for (const file of ["state.db", "state.db-wal", "log/server.log", "log/agent.log"]) {
    const bytes = readFileSync(join(platform.dataDir, file));
    assert.ok(!bytes.includes(PASSWORD), `${file} has the password in clear`);
    assert.ok(!bytes.includes(Buffer.from(PASSWORD).toString("base64")), `${file} has it encoded`);
  }
});

test("a login of one project is not another's, and a forgotten one is none", async () => {
  await platform.must("registry", "logout", registry.address);
  login(PASSWORD, "--only-project", "--project", "shop");
  assert.deepEqual(await platform.json("registry", "ls"), []);
  assert.equal((await platform.json("registry", "ls", "--project", "shop")).length, 1);
  const { code, stderr } = await platform.berth("registry", "logout", registry.address);
  assert.equal(code, 1);
  assert.match(stderr, /the cluster has no login at/);
});
