import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { parseSockets, readSockets } from "./socket-table.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const row = (local: string, remote: string, state: string) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0`;

test("peers of established connections to listening ports are told, loopback and own calls are not", () => {
  const tcp = [
    HEAD,
    row("00000000:1F90", "00000000:0000", "0A"),
    row("0100007F:1388", "00000000:0000", "0A"),
    // To the listening port: one from a neighbour, one from loopback; one that is closing.
    row("0701400A:1F90", "0901400A:C350", "01"),
    row("0100007F:1F90", "0100007F:C351", "01"),
    row("0701400A:1F90", "0A01400A:C352", "06"),
    // A call of its own.
    row("0701400A:D431", "0B01400A:1538", "01"),
    HEAD,
    row(`0000000000000000FFFF00000701400A:1F90`, `0000000000000000FFFF00000C01400A:C350`, "01"),
  ].join("\n");
  const udp = [
    HEAD,
    row("00000000:0035", "00000000:0000", "07"),
    row("00000000:D431", "00000000:0000", "07"),
    row("0100007F:0044", "00000000:0000", "07"),
  ].join("\n");
  const { listening, peers } = parseSockets(tcp, udp);
  assert.deepEqual([...listening], [0x1f90, 0x35]);
  assert.deepEqual(peers, ["10.64.1.9", "10.64.1.12"]);
});

test("a table of nothing, and of a process that is not there", async () => {
  assert.deepEqual(parseSockets("", ""), { listening: new Set(), peers: [] });
  assert.equal(await readSockets(2 ** 22 + 1), undefined);
});

test("the kernel's own table shows a listener of this process", async () => {
  const server = createServer().listen(0, "0.0.0.0");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const client = connect(address.port, "127.0.0.1");
  await once(client, "connect");
  const table = await readSockets(process.pid);
  client.destroy();
  server.close();
  assert.ok(table?.listening.has(address.port), "it listens");
});
