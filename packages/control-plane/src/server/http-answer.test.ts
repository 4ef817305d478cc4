/** Streams with backpressure: no faster than the client reads, and not for ever. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { DRAIN_TIMEOUT_MS, httpProblem, rawProblem, writeStream } from "./http-answer.ts";

/** A response whose client takes what `release` lets through. */
class SlowResponse extends Writable {
  readonly taken: string[] = [];
  #held: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(chunk.toString());
    this.#held.push(done);
  }

  release(): void {
    for (const done of this.#held.splice(0)) done();
  }

  flushHeaders(): void {}
}

function slowResponse() {
  const response = new SlowResponse({ highWaterMark: 4 });
  return { response, asServer: response as unknown as ServerResponse };
}

async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((done) => setImmediate(done));
}

test("the next piece is asked for when the client has taken the last", async () => {
  const { response, asServer } = slowResponse();
  let asked = 0;
  async function* source() {
    for (const word of ["first", "second", "third"]) {
      asked++;
      yield [Buffer.from(word)];
    }
  }
  const written = writeStream(asServer, source(), new ManualClock());
  await turns();
  assert.equal(asked, 1);
  response.release();
  await turns();
  assert.equal(asked, 2);
  for (let count = 0; count < 4; count++) {
    response.release();
    await turns();
  }
  await written;
  assert.deepEqual(response.taken, ["first", "second", "third"]);
  assert.ok(response.writableFinished);
});

test("a client that takes nothing is cut off after the deadline, and the source ends", async () => {
  const { response, asServer } = slowResponse();
  const clock = new ManualClock();
  let ended = false;
  async function* source() {
    try {
      for (;;) yield [Buffer.from("piece")];
    } finally {
      ended = true;
    }
  }
  const written = writeStream(asServer, source(), clock);
  await turns();
  clock.advance(DRAIN_TIMEOUT_MS - 1);
  await turns();
  assert.equal(response.destroyed, false);
  clock.advance(1);
  await turns();
  await written;
  assert.ok(response.destroyed && ended);
});

test("a source that breaks cuts the connection: nobody takes half for the whole", async () => {
  const { response, asServer } = slowResponse();
  async function* source() {
    yield [Buffer.from("a")];
    throw new ProtocolError("internal", "broken");
  }
  await writeStream(asServer, source(), new ManualClock());
  assert.ok(response.destroyed && !response.writableFinished);
});

test("a client that takes everything at once gets many parts and goes on at once", async () => {
  const clock = new ManualClock();
  const parts = Array.from({ length: 8 }, () => Buffer.alloc(16_384, "x"));
  async function* source() {
    yield parts;
    yield [Buffer.from("last")];
  }
  const server = createServer((_request, response) => {
    void writeStream(response, source(), clock);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  // The manual clock stands still: whoever waits for its deadline waits for ever.
  const outgoing = get({ host: "127.0.0.1", port: address.port, agent: false });
  const [incoming]: IncomingMessage[] = await once(outgoing, "response");
  assert.ok(incoming);
  const received = await text(incoming);
  assert.equal(received.length, 8 * 16_384 + "last".length);
  server.close();
});

test("small and large parts come whole in chunks, and as they are to a client without chunks", async () => {
  const parts = [Buffer.from("small "), Buffer.from("ones "), Buffer.alloc(20_000, "x")];
  async function* source() {
    yield parts;
    yield [];
    yield [Buffer.from(" last")];
  }
  const server = createServer((_request, response) => {
    void writeStream(response, source(), new ManualClock());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const expected = `small ones ${"x".repeat(20_000)} last`;
  const bodyOf = async (version: string) => {
    const socket = connect(port, "127.0.0.1");
    socket.write(`GET / HTTP/${version}\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const [head = "", ...body] = (await text(socket)).split("\r\n\r\n");
    return { isChunked: /transfer-encoding: chunked/i.test(head), body: body.join("\r\n\r\n") };
  };
  assert.deepEqual(await bodyOf("1.0"), { isChunked: false, body: expected });
  assert.deepEqual(await bodyOf("1.1"), {
    isChunked: true,
    body: `b\r\nsmall ones \r\n4e20\r\n${"x".repeat(20_000)}\r\n5\r\n last\r\n0\r\n\r\n`,
  });
  server.close();
});

test("problems carry the headers that their codes ask for", () => {
  const headersOf = (error: ProtocolError) => httpProblem(error, "i1").headers;
  const missing = headersOf(new ProtocolError("unauthenticated", "no"));
  assert.equal(missing["www-authenticate"], 'Bearer realm="berth"');
  const wait = new ProtocolError("too_many_requests", "no", { retryAfterMs: 1_200 });
  assert.equal(headersOf(wait)["retry-after"], "2");
  const method = new ProtocolError("method_not_allowed", "no", { allow: ["GET", "PUT"] });
  assert.equal(headersOf(method)["allow"], "GET, PUT");
  const raw = rawProblem(new ProtocolError("not_found", "nichts für dich"), "i1");
  const [head = "", body = ""] = raw.split("\r\n\r\n");
  assert.match(head, /^HTTP\/1\.1 404 not_found\r\n/);
  assert.match(head, new RegExp(`content-length: ${Buffer.byteLength(body)}`));
});
