/** What the doctor finds on a real machine, and what uninstalling removes and leaves. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { containersOfCluster, docker } from "./engine.ts";
import { killAll, pidsOf, processesOf } from "./platform-processes.ts";
import { TestPlatform } from "./test-platform.ts";

interface Finding {
  readonly check: string;
  readonly level: "ok" | "warning" | "error";
  readonly message: string;
  readonly advice: string;
}

let platform: TestPlatform;

before(async () => {
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(() => platform.uninstall());

async function doctor(environment: NodeJS.ProcessEnv = {}) {
  const words = ["platform", "doctor", "--json"];
  const { code, stdout } = await platform.berthWith({ environment }, ...words);
  const lines = stdout.split("\n").filter((line) => line !== "");
  return { code, findings: lines.map((line): Finding => JSON.parse(line)) };
}

function errorsOf(findings: readonly Finding[]): string[] {
  return findings.filter(({ level }) => level === "error").map(({ check }) => check);
}

test("a machine that has everything has no error, and nothing without advice", async () => {
  const { code, findings } = await doctor();
  assert.deepEqual(errorsOf(findings), []);
  assert.equal(code, 0);
  for (const { level, advice, check } of findings) {
    assert.equal(advice === "", level === "ok", `${check} says what to do unless all is well`);
  }
});

/** Programs of this machine but `missing`. */
function pathWithout(missing: string): string {
  const folder = join(platform.folder, `without-${missing}`);
  mkdirSync(folder);
  for (const source of ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"]) {
    for (const name of existsSync(source) ? readdirSync(source) : []) {
      const link = join(folder, name);
      if (name !== missing && !existsSync(link)) symlinkSync(join(source, name), link);
    }
  }
  return folder;
}

for (const program of ["haproxy", "nft"]) {
  test(`without ${program} the doctor says what to install, with code 1`, async () => {
    const { code, findings } = await doctor({ PATH: pathWithout(program) });
    const check = program === "nft" ? "nftables" : program;
    assert.deepEqual(errorsOf(findings), [check]);
    assert.match(findings.find((one) => one.check === check)?.advice ?? "", /apt-get install/);
    assert.equal(code, 1);
  });
}

test("a port of somebody else is found", async () => {
  const holder = createServer();
  await once(holder.listen(platform.httpPort, "0.0.0.0"), "listening");
  try {
    const { findings } = await doctor();
    const finding = findings.find(({ check }) => check === "http port");
    assert.equal(finding?.level, "error");
    assert.match(finding.message, new RegExp(`${platform.httpPort} is taken`));
  } finally {
    holder.close();
  }
});

test("a program that has the port of VXLAN is found", async () => {
  const holder = createSocket("udp4");
  await once(holder.bind(4789, "127.0.0.1"), "listening");
  try {
    const { findings } = await doctor();
    const finding = findings.find(({ check }) => check === "underlay port");
    assert.equal(finding?.level, "error", JSON.stringify(finding));
    assert.match(finding.message, /UDP 4789 is taken by \S+: networks do not reach/);
  } finally {
    holder.close();
  }
});

test("a token that others may read is found", async () => {
  const file = join(platform.dataDir, "admin.token");
  chmodSync(file, 0o644);
  const { findings } = await doctor();
  chmodSync(file, 0o600);
  assert.ok(
    findings.some(({ level, message }) => level !== "ok" && message.includes("admin.token")),
  );
});

test("a server that does not answer is found", async () => {
  await killAll(platform.dataDir, "supervise", "server");
  const { code, findings } = await doctor();
  assert.equal(code, 1);
  assert.ok(errorsOf(findings).includes("server"), JSON.stringify(findings));
  await platform.startPlatform();
});

const COMPOSE = `services:
  keeper:
    image: berth/busybox
    command: ["sh", "-c", "echo kept > /data/file; exec sleep 1000"]
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    x-berth: { min_healthy: 100ms }
volumes: { data: {} }
`;

test("uninstall lists first, removes its own and nothing else, and keeps volumes", async () => {
  const { code, stdout, stderr } = await platform.deploy("kept", COMPOSE);
  assert.equal(code, 0, stdout + stderr);
  const { cluster, dataDir } = platform;
  const [volume = ""] = docker("volume", "ls", "-q", "--filter", `label=berth.cluster=${cluster}`)
    .trim()
    .split("\n");
  assert.notEqual(volume, "");
  const foreign = docker(
    ...["run", "-d", "--rm", "--network", "none"],
    ...["berth/busybox", "sleep", "300"],
  ).trim();
  try {
    const listed = await platform.must("platform", "uninstall", "--dry-run");
    assert.match(listed, /removes/);
    assert.match(listed, new RegExp(`keeps[\\s\\S]*${volume}`));
    assert.equal(containersOfCluster(cluster).length, 1, "a dry run removes nothing");
    const unknown = await platform.berth("platform", "uninstall", "--yes", "--volumes", "no-such");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, new RegExp(`no-such[\\s\\S]*${volume}`));
    assert.equal(containersOfCluster(cluster).length, 1);

    await platform.must("platform", "uninstall", "--yes");
    assert.deepEqual(containersOfCluster(cluster), []);
    assert.deepEqual(processesOf(dataDir), []);
    assert.deepEqual(pidsOf(dataDir, "haproxy"), []);
    assert.equal(
      docker("network", "ls", "-q", "--filter", `label=berth.cluster=${cluster}`).trim(),
      "",
    );
    assert.doesNotMatch(execFileSync("nft", ["list", "tables"]).toString(), new RegExp(cluster));
    assert.match(docker("ps", "-q", "--no-trunc"), new RegExp(foreign));
    const kept = docker(
      ...["run", "--rm", "--network", "none", "-v", `${volume}:/data`],
      "berth/busybox",
      "cat",
      "/data/file",
    );
    assert.equal(kept, "kept\n");
  } finally {
    docker("rm", "-f", foreign);
    docker("volume", "rm", volume);
  }
});

test("where nothing of Berth is left, uninstall says so", async () => {
  assert.match(await platform.must("platform", "uninstall", "--yes"), /nothing of Berth/);
});
