/** Clients and copies for tests of routes: a request with all that can be said, a copy that says what it got. */

import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect as connectH2, createServer as createH2Server } from "node:http2";
import { request as httpsRequest } from "node:https";
import type { TestContext } from "node:test";
import { stopCopy } from "./lab.ts";

export interface Ask {
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly tls?: boolean;
  /** Loopback address that the client comes from. */
  readonly from?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** What an echoing copy got. */
  readonly got?: Echo;
}

export interface Echo {
  readonly slot: number;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export const HTTP_PORT = 8000;
export const HTTPS_PORT = 8443;

/** One request on a connection of its own. */
export function ask(wish: Ask = {}): Promise<Answer> {
  const { host = "shop.test", path = "/", method = "GET", tls = false, from } = wish;
  const options = {
    host: "127.0.0.1",
    port: tls ? HTTPS_PORT : HTTP_PORT,
    path,
    method,
    agent: false as const,
    timeout: 10_000,
    headers: { host, ...wish.headers },
    ...(from === undefined ? {} : { localAddress: from }),
    ...(tls ? { servername: host, rejectUnauthorized: false } : {}),
  };
  return new Promise((resolve, reject) => {
    const call = (tls ? httpsRequest : httpRequest)(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const status = response.statusCode ?? 0;
        const got = text.startsWith("{") ? { got: JSON.parse(text) as Echo } : {};
        resolve({ status, headers: response.headers, text, ...got });
      });
    });
    call.on("error", reject);
    call.end(wish.body);
  });
}

/** A copy that answers with what it got; `status` for paths that end with a number: `/status/404`. */
export async function startEchoCopy(t: TestContext, slot: number, port = 8080): Promise<void> {
  const server = createServer((request, response) => {
    request.resume();
    const { method = "", url = "", headers } = request;
    response.statusCode = Number(/\/status\/(\d{3})$/.exec(url)?.[1] ?? 200);
    response.setHeader("content-type", "application/json");
    response.setHeader("x-from-copy", "yes");
    response.end(JSON.stringify({ slot, method, url, headers, padding: "x".repeat(2_000) }));
  });
  server.keepAliveTimeout = 600_000;
  server.listen(port, `127.77.1.${slot}`);
  await once(server, "listening");
  t.after(() => stopCopy(server));
}

/** One request over HTTP/2, with or without TLS (prior knowledge). */
export async function askH2(
  host: string,
  wish: { readonly path?: string; readonly tls: boolean },
): Promise<{
  readonly status: number;
  readonly text: string;
  readonly trailers: IncomingHttpHeaders;
}> {
  const authority = wish.tls ? `https://127.0.0.1:${HTTPS_PORT}` : `http://127.0.0.1:${HTTP_PORT}`;
  const session = connectH2(authority, { servername: host, rejectUnauthorized: false });
  try {
    const stream = session.request({
      ":path": wish.path ?? "/",
      ":authority": host,
      te: "trailers",
    });
    let trailers: IncomingHttpHeaders = {};
    let text = "";
    stream.on("trailers", (found) => {
      trailers = found as IncomingHttpHeaders;
    });
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const [headers] = await once(stream, "response");
    await once(stream, "end");
    return { status: Number(headers[":status"]), text, trailers };
  } finally {
    session.destroy();
  }
}

/** A copy that speaks HTTP/2 without TLS alone, as gRPC servers do; it answers with a trailer. */
export async function startH2Copy(t: TestContext, slot: number): Promise<void> {
  const server = createH2Server();
  server.on("stream", (stream, headers) => {
    stream.resume();
    const head = { ":status": 200, "content-type": "application/grpc" };
    stream.respond(head, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(`h2 ${slot} ${headers[":path"]}`);
  });
  server.listen(8080, `127.77.1.${slot}`);
  await once(server, "listening");
  t.after(() => server.close());
}
