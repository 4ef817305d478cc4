/** Ranges that are full, overlap or are taken, and published ports of every kind, through the whole platform. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { after, before, type TestContext, test } from "node:test";
import { makeNodeImage, NODE_IMAGE } from "./load/node-image.ts";
import type { StackRow } from "./stack-rows.ts";
import { eventually, freePort, get, TestPlatform } from "./test-platform.ts";

const ENGINE_SOCKET = "/var/run/docker.sock";
/** A /20: its last /24 is the services', so there is room for 15 networks of /24. */
const NETWORKS_MAX = 15;

let platform: TestPlatform;

before(async () => {
  platform = await TestPlatform.prepare();
  const range = platform.range.replace(/\/\d+$/, "/20");
  await platform.startPlatform(["--cluster-range", range]);
  makeNodeImage(ENGINE_SOCKET);
});

after(() => platform.uninstall());

const service = (more: string) => `  web:
    image: ${NODE_IMAGE}
    stop_signal: SIGKILL
    x-berth: { min_healthy: 100ms, progress_deadline: 60s }
${more}`;
const idle = (more = "") =>
  `services:\n${service(`    command: ["/node", "-e", "setInterval(() => {}, 1000)"]\n${more}`)}`;

/** Deploys for the time of one test. */
function deploy(t: TestContext, name: string, compose: string, ...words: string[]) {
  t.after(() => platform.berth("stack", "rm", name, "--yes"));
  return platform.deploy(name, compose, ...words);
}

function explain(stack: string): Promise<string> {
  return platform.must("explain", `${stack}/web`);
}

test("a range that is no range is refused before anything is changed", async () => {
  for (const [option, range, words] of [
    ["--cluster-range", "10.64.0.0/24", /"10\.64\.0\.0\/24" cannot be used.*\/8 to \/20/],
    ["--service-range", "10.80.1.0/16", /10\.80\.0\.0\/16 begins where/],
  ] as const) {
    const { code, stderr } = await platform.berth("platform", "start", option, range);
    assert.notEqual(code, 0);
    assert.match(stderr, words);
  }
  assert.match(await platform.must("platform", "status"), /server +up/);
});

test("a network over the range of another, and over one of the host, is refused with its holder", async (t) => {
  const subnet = (range: string) =>
    `networks: { default: { ipam: { config: [{ subnet: ${range} }] } } }\n`;
  const routes: { readonly dst: string }[] = JSON.parse(
    execFileSync("ip", ["-json", "-4", "route"], { encoding: "utf8" }),
  );
  const own = routes.find(({ dst }) => dst.includes("/"))?.dst ?? "";
  const first = await deploy(t, "first", `${idle()}${subnet("10.34.8.0/24")}`);
  assert.equal(first.code, 0, first.stdout + first.stderr);
  const second = await deploy(t, "second", `${idle()}${subnet("10.34.0.0/16")}`);
  assert.equal(second.code, 2);
  assert.match(
    second.stderr,
    /second\/compose\.yaml:\d+:\d+ +networks\.default\.subnet +10\.34\.0\.0\/16 overlaps with 10\.34\.8\.0\/24, which network default of first has/,
  );
  const third = await deploy(t, "third", `${idle()}${subnet(own)}`);
  assert.equal(third.code, 2);
  assert.match(
    third.stderr,
    /networks\.default\.subnet .* overlaps with .*, which \S+ of node-1 has/,
  );
  assert.equal((await platform.json<StackRow>("ps")).length, 1, "nothing was made of the refused");
});

test("a range that is full says how full, by whom, and is used again when a stack goes", async (t) => {
  const names = Array.from({ length: NETWORKS_MAX }, (_, index) => `n${index}`);
  const many = `${idle(`    networks: [${names.join(", ")}]\n`)}networks: {${names.map((name) => `${name}: {}`).join(", ")}}\n`;
  const whole = await deploy(t, "whole", many);
  assert.equal(whole.code, 0, whole.stdout + whole.stderr);
  const gauges = (await platform.api("GET", "/metrics")).body
    .split("\n")
    .filter((line) => line.startsWith("berth_range_addresses"));
  assert.deepEqual(gauges.slice(0, 3), [
    'berth_range_addresses{range="networks"} 3840',
    'berth_range_addresses{range="services"} 256',
    'berth_range_addresses_used{range="networks"} 3840',
  ]);
  // One on each network, and what is in quarantine.
  const services = /^berth_range_addresses_used\{range="services"\} (\d+)$/.exec(gauges[3] ?? "");
  assert.ok(Number(services?.[1]) >= NETWORKS_MAX, gauges[3]);
  await deploy(t, "late", idle(), "--detach");
  await eventually("it is said that the range is full", async () =>
    /no range of \/24 for network default: [\d.]+\/20 is full \(15 networks\)/.test(
      await explain("late"),
    ),
  );
  await platform.must("stack", "rm", "whole", "--yes");
  const again = await deploy(t, "late", idle());
  assert.equal(again.code, 0, again.stdout + again.stderr);
});

test("a network with more copies than addresses says which is full", async (t) => {
  const compose = `${idle("    deploy: { replicas: 8 }\n")}networks: { default: { ipam: { config: [{ subnet: 10.35.0.0/29 }] } } }\n`;
  await deploy(t, "narrow", compose, "--detach");
  await eventually("it is said that the network is full", async () =>
    /network default has no free address left in 10\.35\.0\.0\/29/.test(await explain("narrow")),
  );
  const { stderr } = await platform.berth("network", "ls", "narrow");
  assert.match(stderr, /narrow\/default is full: 5 of 5 addresses/);
});

const ECHO = `const socket = require("dgram").createSocket("udp4");
socket.on("message", (text, peer) => socket.send("echo " + text, peer.port, peer.address)).bind(9000);
require("http").createServer((_, answer) => answer.end("hello")).listen(8080);`;

test("published ports answer: TCP in both families, UDP, on an address alone", async (t) => {
  const [both, udp, alone] = [await freePort(), await freePort(), await freePort()];
  const compose = `services:\n${service(`    command: ["/node", "-e", ${JSON.stringify(ECHO)}]
    deploy: { replicas: 2 }
    ports: ["${both}:8080", "${udp}:9000/udp", "127.0.0.1:${alone}:8080"]
`)}`;
  const { code, stdout, stderr } = await deploy(t, "ports", compose);
  assert.equal(code, 0, stdout + stderr);
  await eventually(
    "the port is open",
    async () => (await get({ port: both, path: "/" })).status === 200,
  );
  for (const host of ["127.0.0.1", "::1"]) {
    assert.equal((await get({ host, port: both, path: "/" })).body, "hello", host);
  }
  assert.equal((await get({ port: alone, path: "/" })).body, "hello");
  await assert.rejects(get({ host: "::1", port: alone, path: "/" }), /ECONNREFUSED/);
  assert.equal(await askUdp(udp, "one"), "echo one");
  await platform.must("stack", "rm", "ports", "--yes");
  await eventually("the port is closed", async () => {
    const failure = await get({ port: both, path: "/" }).catch(String);
    return /ECONNREFUSED/.test(String(failure));
  });
});

function askUdp(port: number, text: string): Promise<string> {
  const socket = createSocket("udp4");
  return new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer by UDP within 5 s")), 5_000);
    socket.once("error", reject);
    socket.once("message", (answer) => {
      clearTimeout(timer);
      resolve(answer.toString());
    });
    socket.send(text, port, "127.0.0.1");
  }).finally(() => socket.close());
}
