/**
 * Service addresses and the isolation matrix on a host of its own: every pair of container and target, as it is
 * and after a flush of all rules, a new engine, and a power failure.
 */

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { signal } from "./platform-processes.ts";
import { PrivateHost } from "./private-host.ts";
import type { StackRow, TaskRow } from "./stack-rows.ts";
import { eventually, TestPlatform } from "./test-platform.ts";

const BOOT_MS = 120_000;
const METADATA = "169.254.169.254";

let host: PrivateHost;

before(async () => {
  const maker = await TestPlatform.prepare();
  await maker.must("image", "base", "berth/busybox", "--busybox-only");
  rmSync(maker.folder, { recursive: true });
  host = new PrivateHost();
  await host.boot();
  await host.startPlatform();
  await listen();
  host.loadImage("berth/busybox");
  await host.deploy("left", LEFT);
  await host.deploy("right", RIGHT);
});

after(() => host.destroy());

const server = (name: string, replicas: number, networks: string, more = "") => `  ${name}:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    expose: [8080]
    deploy: { replicas: ${replicas} }
    networks: ${networks}
    x-berth: { min_healthy: 200ms, ${more} }
`;

const LEFT = `services:
${server("web", 2, "[front, back]")}${server("db", 1, "[back]")}${server("client", 1, "[front]")}${server(
  "fixed",
  2,
  "[pinned]",
  "addresses: { pinned: 10.33.0.10-10.33.0.11 }",
)}networks:
  front: {}
  back: {}
  pinned: { ipam: { config: [{ subnet: 10.33.0.0/24, gateway: 10.33.0.254 }] } }
`;
const RIGHT = `services:\n${server("web", 1, "[default]")}`;

/** What a cloud would have, and a database of the host, both on the host itself. */
async function listen(): Promise<void> {
  await host.run("ip", "addr", "add", `${METADATA}/32`, "dev", "lo");
  await host.run("busybox", "httpd", "-p", `${METADATA}:80`);
  await host.run("busybox", "httpd", "-p", "0.0.0.0:5432");
}

async function tasks(service: string): Promise<TaskRow[]> {
  const lines = (await host.must("ps", service, "--json"))
    .split("\n")
    .filter((line) => line !== "");
  const rows = lines.map((line): TaskRow => JSON.parse(line));
  return rows.filter(({ status }) => status?.ready === true);
}

async function inside(service: string, script: string): Promise<string> {
  return host.must("exec", service, "sh", "-c", script);
}

async function addressOf(from: string, name: string): Promise<string> {
  const text = await inside(from, `nslookup ${name} | tail -n +3`);
  const addresses = [...text.matchAll(/Address[^:]*: (\d+\.\d+\.\d+\.\d+)/g)].map(
    ([, each]) => each,
  );
  assert.equal(addresses.length, 1, text);
  return addresses[0] ?? "";
}

function fetchLine(address: string, port = 8080): string {
  return `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${address} ${port} 2>/dev/null`;
}

async function isComplete(): Promise<boolean> {
  const lines = (await host.must("ps", "--json")).split("\n").filter((line) => line !== "");
  const rows = lines.map((line): StackRow => JSON.parse(line));
  return (
    rows.length === 2 &&
    rows.every(({ services }) =>
      services.every(({ ready, wanted }) => ready === wanted && ready > 0),
    )
  );
}

test("a name answers its service's address, which leads to every copy", async () => {
  const address = await addressOf("left/client", "web");
  const copies = (await tasks("left/web")).flatMap(({ task }) => task.attachments);
  assert.ok(copies.every((copy) => copy.address !== address));
  const script = `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ${fetchLine("web")} | tail -n1; done`;
  const names = new Set((await inside("left/client", script)).trim().split("\n"));
  assert.equal(names.size, 2, [...names].join(" "));
});

test("a task on two networks reaches the services of both", async () => {
  for (const name of ["db", "client", "web"]) {
    assert.match(await inside("left/web", fetchLine(name)), /200 OK/, name);
  }
});

test("a service has an address of its own on each of its networks, by which its name answers there", async () => {
  const [front, back] = [await addressOf("left/client", "web"), await addressOf("left/db", "web")];
  assert.notEqual(front, back);
  for (const [from, address, other] of [
    ["left/client", front, back],
    ["left/db", back, front],
  ] as const) {
    assert.match(await inside(from, fetchLine(address)), /200 OK/, `${from} by ${address}`);
    assert.equal(await inside(from, `${fetchLine(other)} || true`), "", `${from} by ${other}`);
  }
});

test("the address survives a release; without a copy it refuses at once", async () => {
  const address = await addressOf("left/client", "web");
  await host.deploy("left", LEFT.replaceAll("mkdir /www", "mkdir  /www"));
  assert.equal(await addressOf("left/client", "web"), address);
  await host.must("scale", "left/web=0");
  // Counted inside: the command itself may take long on a busy machine.
  const connect = `nc -w 9 ${address} 8080 </dev/null >/dev/null 2>&1; echo code $?`;
  const script = `from=$(date +%s); ${connect}; [ $(($(date +%s) - from)) -le 2 ] && echo soon`;
  assert.equal(await inside("left/client", script), "code 1\nsoon\n");
  await host.must("scale", "left/web=2");
  await eventually("both copies are back", isComplete);
});

test("copies keep their fixed addresses when they are replaced", async () => {
  const addresses = (rows: readonly TaskRow[]) =>
    rows.map(({ task }) => `${task.slot} ${task.attachments[0]?.address}`).sort();
  const expected = ["1 10.33.0.10", "2 10.33.0.11"];
  const first = await tasks("left/fixed");
  assert.deepEqual(addresses(first), expected);
  await host.must("restart", "left/fixed");
  const old = new Set(first.map(({ task }) => task.id));
  const isReplaced = (rows: readonly TaskRow[]) =>
    rows.length === 2 && rows.every(({ task }) => !old.has(task.id));
  await eventually("both are others", async () => isReplaced(await tasks("left/fixed")), BOOT_MS);
  assert.deepEqual(addresses(await tasks("left/fixed")), expected);
});

/** `[from] → [to]` of all pairs in which a request is answered. */
async function openPairs(): Promise<string[]> {
  const targets: [string, string, number][] = [["metadata", METADATA, 80]];
  for (const service of ["left/web", "left/db", "left/client", "left/fixed", "right/web"]) {
    const name = service.split("/")[1] ?? "";
    const addresses = (await tasks(service)).map(({ task }) =>
      task.attachments.map((each) => each.address),
    );
    for (const [index] of (addresses[0] ?? []).entries()) {
      targets.push([`${service} copy ${index}`, addresses[0]?.[index] ?? "", 8080]);
    }
    targets.push([`${service} address`, await addressOf(service, name), 8080]);
  }
  const pairs = await Promise.all(
    ["left/web", "left/db", "left/client", "left/fixed", "right/web"].map(async (from) => {
      const gateway = "$(ip route | sed -n 's/default via \\([0-9.]*\\).*/\\1/p')";
      const own: typeof targets = [
        ["server", gateway, 7710],
        ["database", gateway, 5432],
      ];
      const lines = [...targets, ...own].map(
        ([to, address, port]) =>
          `(${fetchLine(address, port)} | grep -q HTTP && echo '${from} → ${to}') &`,
      );
      const text = await inside(from, `${lines.join("\n")}\nwait`);
      return text.split("\n").filter((line) => line !== "");
    }),
  );
  return pairs.flat().sort();
}

/** Each service reaches what is on its networks, and nothing else anywhere. */
const EXPECTED = [
  ...[
    "left/web copy 0",
    "left/web copy 1",
    "left/web address",
    "left/db copy 0",
    "left/db address",
  ].map((to) => `left/web → ${to}`),
  ...["left/client copy 0", "left/client address"].map((to) => `left/web → ${to}`),
  ...["left/db copy 0", "left/db address", "left/web copy 1"].map((to) => `left/db → ${to}`),
  ...["left/client copy 0", "left/client address", "left/web copy 0", "left/web address"].map(
    (to) => `left/client → ${to}`,
  ),
  ...["left/fixed copy 0", "left/fixed address"].map((to) => `left/fixed → ${to}`),
  ...["right/web copy 0", "right/web address"].map((to) => `right/web → ${to}`),
].sort();

test("every pair that may not be is closed", async () => {
  assert.deepEqual(await openPairs(), EXPECTED);
});

test("after a flush of all rules, of iptables and of nft", async () => {
  await host.run("nft", "flush", "ruleset");
  for (const chain of ["FORWARD", "INPUT"]) await host.run("iptables", "-F", chain);
  await eventually("service addresses lead somewhere", async () =>
    /200 OK/.test(await inside("left/client", `${fetchLine("web")} || true`)),
  );
  assert.deepEqual(await openPairs(), EXPECTED);
});

/** Nothing is ever open that may not be; what may be is open at last, as engines put their rules in order. */
async function expectMatrix(): Promise<void> {
  let open: readonly string[] = [];
  await eventually("all that may be is open", async () => {
    open = await openPairs();
    return open.length >= EXPECTED.length || open.some((pair) => !EXPECTED.includes(pair));
  });
  assert.deepEqual(open, EXPECTED);
}

test("after another engine has started", async () => {
  const [engine] = host.pidsOf("dockerd");
  assert.ok(engine !== undefined);
  signal(engine, "SIGKILL");
  await eventually("another engine answers", () => host.docker("ps", "-q") !== "", BOOT_MS);
  await eventually("the platform sees all copies", isComplete, BOOT_MS);
  await expectMatrix();
});

test("after a power failure, with the same addresses", async () => {
  const address = await addressOf("left/client", "web");
  await host.powerOff();
  await host.boot();
  await listen();
  await host.startPlatform();
  await eventually("all copies run", isComplete, BOOT_MS);
  await eventually("names are answered", async () =>
    (await inside("left/client", "nslookup web || true")).includes(address),
  );
  assert.equal(await addressOf("left/client", "web"), address);
  await expectMatrix();
});
