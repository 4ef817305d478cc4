/** Each kind of check against a real server on this machine's loopback. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createHttp2, type Http2Server } from "node:http2";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { after, before, test } from "node:test";
import type { ProbeCheck } from "@berth/protocol";
import { encodeRequest } from "./grpc-check.ts";
import { nodeChecker } from "./node-checker.ts";

const HOST = "127.0.0.1";
const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);
const NOT_SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 2]);

let http: Server;
let grpc: Http2Server;
let closedPort = 0;

async function portOf(server: { address(): AddressInfo | string | null }): Promise<number> {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

before(async () => {
  http = createServer((request, response) => {
    if (request.url === "/hang") return;
    const isBack = request.url !== "/host" || request.headers.host === "a.b";
    response.statusCode = isBack ? Number(request.url?.slice(1)) || 200 : 500;
    response.end();
  }).listen(0, HOST);
  await once(http, "listening");
  grpc = createHttp2();
  grpc.on("stream", (stream) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const asked = Buffer.concat(chunks);
      const headers = { ":status": 200, "content-type": "application/grpc" };
      // An error has no message: its status travels with the headers, as servers send it.
      if (asked.equals(encodeRequest("unknown"))) {
        stream.respond({ ...headers, "grpc-status": "5" }, { endStream: true });
        return;
      }
      stream.respond(headers, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(asked.equals(encodeRequest("down")) ? NOT_SERVING : SERVING);
    });
  });
  grpc.listen(0, HOST);
  await once(grpc, "listening");
  const closing = createTcp().listen(0, HOST);
  await once(closing, "listening");
  closedPort = await portOf(closing);
  closing.close();
  await once(closing, "close");
});

after(() => {
  http.closeAllConnections();
  http.close();
  grpc.close();
});

const check = nodeChecker({
  runInside: async (_id, command) => ({
    exitCode: command[0] === "true" ? 0 : 3,
    output: "not today\n",
  }),
});

async function ask(wanted: ProbeCheck, timeoutMs = 2_000): Promise<string> {
  const request = { check: wanted, address: HOST, containerId: "c", timeoutMs };
  const { isGood, message } = await check(request, AbortSignal.timeout(timeoutMs));
  return isGood ? "good" : (message ?? "");
}

test("HTTP: 200 to 399 are good by default, other bounds on request", async () => {
  const port = await portOf(http);
  const get = (path: string, more: Partial<ProbeCheck> = {}) =>
    ask({ kind: "http", port, path, ...more } as ProbeCheck);
  assert.equal(await get("/200"), "good");
  assert.equal(await get("/302"), "good");
  assert.equal(await get("/404"), `/404 on port ${port} answered 404`);
  assert.equal(await get("/404", { statusMin: 400, statusMax: 499 }), "good");
  assert.equal(
    await ask({ kind: "http", port: closedPort, path: "/" }),
    `nothing listens on port ${closedPort}`,
  );
});

test("HTTP: headers are sent as they are, a server that hangs has failed", async () => {
  const port = await portOf(http);
  assert.equal(await ask({ kind: "http", port, path: "/host", headers: { Host: "a.b" } }), "good");
  assert.equal(
    await ask({ kind: "http", port, path: "/hang" }, 50),
    `port ${port} did not answer in time`,
  );
});

test("HTTP: the answer counts once its headers are there, in however many pieces and after hints", async () => {
  const pieces = async (...texts: readonly string[]) => {
    const server = createTcp((socket) => {
      socket.on("error", () => {});
      socket.once("data", async () => {
        for (const text of texts) {
          socket.write(text);
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (texts.at(-1)?.endsWith("!")) socket.end();
      });
    }).listen(0, HOST);
    await once(server, "listening");
    const port = await portOf(server);
    const said = await ask({ kind: "http", port, path: "/x" }, 300);
    server.close();
    return said.replaceAll(String(port), "PORT");
  };
  assert.equal(await pieces("HTTP/1.1 200 OK\r\n\r\n"), "good");
  assert.equal(await pieces("HT", "TP/1.0 2", "04\r\nA: b\r", "\n\r", "\n"), "good");
  assert.equal(
    await pieces("HTTP/1.1 103 \r\n\r\nHTTP/1.1 500\r\n\r\n"),
    "/x on port PORT answered 500",
  );
  assert.equal(await pieces("HTTP/1.1 200 OK\r\nA: b\r\n"), "port PORT did not answer in time");
  assert.equal(await pieces("220 mail\r\n"), "port PORT: it does not speak HTTP");
  assert.equal(
    await pieces(`HTTP/1.1 200\r\nA: ${"b".repeat(20_000)}`),
    "port PORT: its headers have no end",
  );
  assert.equal(await pieces("HTTP/1.1 200!"), "port PORT closed the connection");
});

test("HTTP: a path or header that would smuggle a second request is refused", async () => {
  const port = await portOf(http);
  const path = "/200 HTTP/1.1\r\nA: b";
  assert.match(await ask({ kind: "http", port, path }), /escaped/);
  const headers = { a: "b\r\nHost: c" };
  assert.match(await ask({ kind: "http", port, path: "/200", headers }), /ERR_INVALID_CHAR/);
});

test("TCP: who listens is good", async () => {
  assert.equal(await ask({ kind: "tcp", port: await portOf(http) }), "good");
  assert.equal(
    await ask({ kind: "tcp", port: closedPort }),
    `nothing listens on port ${closedPort}`,
  );
});

test("gRPC: SERVING is good, everything else has a word", async () => {
  const port = await portOf(grpc);
  assert.equal(await ask({ kind: "grpc", port }), "good");
  assert.equal(await ask({ kind: "grpc", port, service: "up" }), "good");
  assert.equal(
    await ask({ kind: "grpc", port, service: "down" }),
    `port ${port}: health is NOT_SERVING`,
  );
  assert.equal(
    await ask({ kind: "grpc", port, service: "unknown" }),
    `port ${port}: gRPC status 5`,
  );
  assert.match(await ask({ kind: "grpc", port: closedPort }), /ECONNREFUSED/);
});

test("exec: code 0 is good, otherwise the output says why", async () => {
  assert.equal(await ask({ kind: "exec", command: ["true"] }), "good");
  assert.equal(
    await ask({ kind: "exec", command: ["false"] }),
    "false exited with code 3: not today",
  );
});

test("a gRPC request is a frame around one string field", () => {
  assert.equal(encodeRequest("").toString("hex"), "0000000000");
  assert.equal(encodeRequest("ab").toString("hex"), "00000000040a026162");
  assert.equal(encodeRequest("x".repeat(200)).subarray(0, 8).toString("hex"), "00000000cb0ac801");
});
