/** What containers see of each other, and what they must not reach: names, records, isolation, ports. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { TaskRow } from "./stack-rows.ts";
import { eventually, freePort, get, TestPlatform } from "./test-platform.ts";

let platform: TestPlatform;
let publishedPort = 0;

before(async () => {
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
  publishedPort = await freePort();
  for (const name of ["left", "right"]) {
    const { code, stdout, stderr } = await platform.deploy(name, stack(name));
    assert.equal(code, 0, stdout + stderr);
  }
});

after(() => platform.uninstall());

function stack(name: string): string {
  const ports = name === "left" ? `    ports: ["${publishedPort}:8080"]\n` : "";
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "mkdir /www; hostname > /www/index.html; echo ${name} > /www/stack; exec httpd -f -p 8080 -h /www"]
    stop_signal: SIGKILL
    deploy: { replicas: 2 }
    expose: [8080]
${ports}    networks: { default: { aliases: [www] } }
    x-berth: { min_healthy: 100ms }
  client:
    image: berth/busybox
    command: ["sleep", "1000"]
    stop_signal: SIGKILL
    x-berth: { min_healthy: 100ms }
`;
}

/** Runs a shell line in the client of a stack; output and errors together. */
async function inside(name: string, script: string): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await platform.berth(
    "exec",
    `${name}/client`,
    "sh",
    "-c",
    script,
  );
  return { code, text: stdout + stderr };
}

async function addressesOf(name: string, service: string): Promise<string[]> {
  const rows = await platform.json<TaskRow>("ps", `${name}/${service}`);
  return rows
    .filter(({ status }) => status?.ready === true)
    .flatMap(({ task }) => task.attachments.map(({ address }) => address))
    .sort();
}

/** A request by hand: busybox' wget needs name services that a static program has not. */
function fetchFrom(address: string, path = "/stack", port = 8080): string {
  return `printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} ${port}`;
}

test("a service answers by its name, its alias and its full name", async () => {
  for (const host of ["web", "www", "web.left.main.default.berth"]) {
    const { text } = await inside("left", fetchFrom(host));
    assert.match(text, /200 OK[\s\S]*left/, `${host}: ${text}`);
  }
});

test("the tasks' addresses are those of the ready copies, and turn back into names", async () => {
  const addresses = await addressesOf("left", "web");
  assert.equal(addresses.length, 2);
  const { text } = await inside("left", "nslookup tasks.web");
  for (const address of addresses) assert.ok(text.includes(address), text);
  const reverse = await inside("left", `nslookup ${addresses[0]}`);
  assert.match(reverse.text, /web.*left/);
});

test("a service record names port and copies", async () => {
  const { text } = await inside("left", "nslookup -type=srv _8080._tcp.web");
  assert.match(text, /8080/, text);
});

test("a name that no service has does not exist", async () => {
  const { text } = await inside("left", "nslookup no-such-service");
  assert.match(text, /NXDOMAIN|can't (find|resolve)/, text);
});

test("every stack sees its own service of a common name", async () => {
  assert.match((await inside("left", fetchFrom("web"))).text, /left/);
  assert.match((await inside("right", fetchFrom("web"))).text, /right/);
});

test("no container reaches one of another stack", async () => {
  const [address = ""] = await addressesOf("left", "web");
  const { text } = await inside("right", fetchFrom(address));
  assert.doesNotMatch(text, /200 OK/);
  const within = await inside("left", fetchFrom(address));
  assert.match(within.text, /200 OK/, "the same request is answered inside the stack");
});

test("no container reaches the platform's interface or other ports of the host", async () => {
  const { text: routes } = await inside("left", "ip route");
  const gateway = /default via (\S+)/.exec(routes)?.[1] ?? "";
  assert.notEqual(gateway, "", routes);
  for (const port of [platform.port, platform.httpPort]) {
    const { text } = await inside("left", fetchFrom(gateway, "/healthz", port));
    assert.doesNotMatch(text, /HTTP\/1/, `port ${port} of the host: ${text}`);
  }
});

test("a published port leads to every copy, and is closed when the stack is gone", async () => {
  const ask = () => get({ port: publishedPort, path: "/" });
  const names = new Set<string>();
  await eventually("both copies answer", async () => {
    names.add((await ask()).body.trim());
    return names.size === 2;
  });
  await platform.must("stack", "rm", "left", "--yes");
  await eventually("nobody listens", async () => {
    try {
      await ask();
      return false;
    } catch (error) {
      return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
    }
  });
});
