import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import type { HostPortWish } from "@berth/protocol";
import { portsTaken } from "./port-check.ts";

function wish(port: number, more: Partial<HostPortWish> = {}): HostPortWish {
  return { protocol: "tcp", address: "127.0.0.1", port, path: "services.web.ports[0]", ...more };
}

test("a port that a program holds is named with its process, on all addresses too", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const holder = { pid: process.pid, name: "node" };
  const everywhere = wish(port, { address: "0.0.0.0" });
  assert.deepEqual(await portsTaken([wish(port), everywhere], undefined), [
    { wish: wish(port), holder },
    { wish: everywhere, holder },
  ]);
  server.close();
  await once(server, "close");
  assert.deepEqual(await portsTaken([wish(port)], undefined), []);
});

test("UDP and TCP ports are different ports", async () => {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  const udp = wish(port, { protocol: "udp" });
  const taken = await portsTaken([udp], undefined);
  assert.deepEqual(taken, [{ wish: udp, holder: { pid: process.pid, name: "node" } }]);
  socket.close();
  await once(socket, "close");
});

test("a port that our own program holds is free for us", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  // This process stands for HAProxy: the path of its program is among its words.
  assert.deepEqual(await portsTaken([wish(port)], process.argv0), []);
  server.close();
  await once(server, "close");
});

test("an address that the host does not have is no reason to refuse", async () => {
  assert.deepEqual(await portsTaken([wish(1, { address: "203.0.113.7" })], undefined), []);
});
