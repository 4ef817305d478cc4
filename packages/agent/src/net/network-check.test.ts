/** The way to a copy on another node: what is tried, in which order, and what is said about it. */

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import type { NetworkCheckTarget } from "@berth/protocol";
import { type CheckSockets, checkNetwork, HOST_SOCKETS } from "./network-check.ts";

const TARGET: NetworkCheckTarget = {
  ...{ project: "default", environment: "main", stack: "shop", service: "web", copy: "shop/web-1" },
  ...{ address: "10.64.1.9", ports: [8_080], ready: true, mtu: 1_450 },
};

const NAMES = { domain: "berth", server: "127.0.0.1:7753" };

const GOOD: CheckSockets = {
  resolve: async () => ["10.64.1.9", "10.64.1.10"],
  echo: async () => true,
  open: async () => "open",
};

async function verdicts(sockets: Partial<CheckSockets>, target = TARGET): Promise<string[]> {
  const steps = await checkNetwork(target, NAMES, { ...GOOD, ...sockets });
  return steps.map(({ what, verdict }) => `${what} ${verdict}`);
}

test("a way that is good, to a copy that has no port as well", async () => {
  const good = ["name ok", "echo ok", "tcp ok", "large ok"];
  assert.deepEqual(await verdicts({}), good);
  assert.deepEqual(await verdicts({ open: async () => "refused" }, { ...TARGET, ports: [] }), good);
});

test("what is asked: the copies' name at the gateway, and a packet of the network's full size", async () => {
  const asked: string[] = [];
  await checkNetwork(TARGET, NAMES, {
    resolve: async (server, name) => [asked.push(`${name} at ${server}`).toString()],
    echo: async (address, bytes) => asked.push(`${address} ${bytes}`) > 0,
    open: async (address, port) => (asked.push(`${address}:${port}`) > 0 ? "open" : "silent"),
  });
  assert.deepEqual(asked, [
    "tasks.web.shop.main.default.berth at 127.0.0.1:7753",
    "10.64.1.9 0",
    "10.64.1.9:8080",
    "10.64.1.9 1422",
  ]);
});

test("the first that fails says where to look, and what cannot pass is not tried", async () => {
  const nothing = await checkNetwork(TARGET, NAMES, { ...GOOD, echo: async () => false });
  assert.deepEqual(
    nothing.map(({ what, verdict }) => `${what} ${verdict}`),
    ["name ok", "echo failed", "tcp skipped", "large skipped"],
  );
  assert.match(nothing[1]?.advice ?? "", /UDP 4789/);
  const small = await checkNetwork(TARGET, NAMES, { ...GOOD, echo: async (_to, n) => n < 1_000 });
  assert.equal(small[3]?.message, "packets of 1450 bytes do not pass, small ones do");
  assert.match(small[3]?.advice ?? "", /1500/);
  const silent = ["name ok", "echo ok", "tcp failed", "large ok"];
  assert.deepEqual(await verdicts({ open: async () => "silent" }), silent);
});

test("names: of a copy that is not ready nothing is asked, another's answer is a failure", async () => {
  const unready = { ...TARGET, ready: false };
  assert.equal((await verdicts({}, unready))[0], "name skipped");
  assert.equal((await verdicts({ resolve: async () => ["10.64.1.10"] }))[0], "name failed");
  const [nowhere] = await checkNetwork(TARGET, { domain: NAMES.domain }, GOOD);
  assert.equal(nowhere?.verdict, "skipped");
  const refusing = async () => Promise.reject(new Error("queryA ENOTFOUND"));
  const [step] = await checkNetwork(TARGET, NAMES, { ...GOOD, resolve: refusing });
  assert.equal(step?.message, "127.0.0.1:7753 does not answer: queryA ENOTFOUND");
});

test("sockets of the host: a refusal is an echo, at every size, and an open port is open", async () => {
  assert.equal(await HOST_SOCKETS.echo("127.0.0.1", 0), true);
  assert.equal(await HOST_SOCKETS.echo("127.0.0.1", 8_000), true);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  assert.equal(await HOST_SOCKETS.open("127.0.0.1", address.port), "open");
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await HOST_SOCKETS.open("127.0.0.1", address.port), "refused");
});
