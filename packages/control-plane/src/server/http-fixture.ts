/** The API on a real port for tests: the fixture's inside behind the HTTP shell, and raw requests to it. */

import { connect } from "node:net";
import { silentLogger, systemClock } from "@berth/base";
import { HttpClient } from "@berth/protocol/client/http-client";
import { ADMIN_TOKEN, type ApiFixture, startFixture } from "../api/api-fixture.ts";
import { HttpServer } from "./http-server.ts";

export interface HttpFixture extends ApiFixture {
  readonly url: string;
  readonly port: number;
  http(token?: string): HttpClient;
}

/** A server on a free port. `stop` it. */
export async function startHttpFixture(): Promise<HttpFixture> {
  const fixture = await startFixture({ clock: systemClock });
  const server = new HttpServer({
    dispatcher: fixture.api.dispatcher,
    clock: systemClock,
    log: silentLogger,
    newId: fixture.newId,
    hostNames: ["berth.example.com"],
  });
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  const clients: HttpClient[] = [];
  return {
    ...fixture,
    url,
    port: Number(new URL(url).port),
    http: (token = ADMIN_TOKEN) => {
      const client = new HttpClient({ url, token });
      clients.push(client);
      return client;
    },
    stop: async () => {
      for (const client of clients) client.close();
      fixture.api.close();
      await server.stop();
      await fixture.stop();
    },
  };
}

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Sends `text` as it is and reads until the server closes, or for `waitMs`. */
export function rawExchange(
  port: number,
  text: string | Buffer,
  waitMs = 3_000,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1");
    const finish = () => {
      socket.destroy();
      const answer = Buffer.concat(chunks).toString();
      const split = answer.indexOf("\r\n\r\n");
      const head = split < 0 ? answer : answer.slice(0, split);
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0);
      resolve({ status, head, body: split < 0 ? "" : answer.slice(split + 4) });
    };
    socket.setTimeout(waitMs, finish);
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("close", finish);
    socket.on("error", (error) => {
      if (chunks.length > 0) finish();
      else reject(error);
    });
    socket.write(text);
  });
}

/** A request in text form, with the connection closed after it. */
export function rawRequest(
  line: string,
  headers: Readonly<Record<string, string>> = {},
  body = "",
): string {
  const all = { host: "localhost", connection: "close", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${line} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}
