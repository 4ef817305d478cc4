/** Bodies that trickle, stop, lie about their length or are not wanted. */

import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { BODY_BYTES_MAX, ProtocolError, routes } from "@berth/protocol";
import {
  BODY_SILENCE_MS,
  BODY_TIMEOUT_MS,
  type BodySource,
  discardBody,
  parseJsonBody,
  readByteBody,
  readJsonBody,
} from "./request-body.ts";

function sourceOf(pieces: Readable, headers: Record<string, string> = {}) {
  const clock = new ManualClock();
  let asked = 0;
  const request = Object.assign(pieces, {
    headers: { "content-type": "application/json", "transfer-encoding": "chunked", ...headers },
  }) as unknown as IncomingMessage;
  const response = { writeContinue: () => asked++ } as unknown as ServerResponse;
  const source: BodySource = { request, response, expectsContinue: true, clock };
  return { clock, source, asked: () => asked };
}

function isCode(code: string) {
  return (error: unknown) => error instanceof ProtocolError && error.code === code;
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((done) => setImmediate(done));
}

const ROUTE = routes.hasBlobs;

test("a body in pieces is one value; it is asked for once, and not before", async () => {
  const { source, asked } = sourceOf(Readable.from([Buffer.from('{"a"'), Buffer.from(":1}")]));
  const read = readJsonBody(source, ROUTE);
  assert.deepEqual(await read, { a: 1 });
  assert.equal(asked(), 1);
  const bytes = sourceOf(Readable.from([Buffer.from("x")]), {
    "content-type": "application/octet-stream",
  });
  const lazy = readByteBody(bytes.source, routes.putBlob);
  await turns();
  assert.equal(bytes.asked(), 0);
  assert.equal(Buffer.concat(await Array.fromAsync(lazy)).toString(), "x");
});

test("a client that stops within the body is given up", async () => {
  const pieces = new Readable({ read() {} });
  const { clock, source } = sourceOf(pieces);
  const read = readJsonBody(source, ROUTE);
  pieces.push(Buffer.from("{"));
  await turns();
  clock.advance(BODY_SILENCE_MS);
  await assert.rejects(read, isCode("timed_out"));
});

test("a client that trickles is given up as well", async () => {
  const pieces = new Readable({ read() {} });
  const { clock, source } = sourceOf(pieces);
  const read = readJsonBody(source, ROUTE).catch((error: unknown) => error);
  let given: unknown;
  void read.then((error) => {
    given = error;
  });
  for (let ms = 0; ms <= BODY_TIMEOUT_MS && given === undefined; ms += 1_000) {
    pieces.push(Buffer.from(" "));
    await turns();
    clock.advance(1_000);
    await turns();
  }
  assert.ok(isCode("timed_out")(given));
});

test("a length over the limit is refused before a byte, one that is not told when it is passed", async () => {
  const announced = sourceOf(Readable.from([]), { "content-length": String(BODY_BYTES_MAX + 1) });
  await assert.rejects(readJsonBody(announced.source, ROUTE), isCode("body_too_large"));
  assert.equal(announced.asked(), 0);
  const piece = Buffer.alloc(1024 * 1024);
  const endless = sourceOf(
    Readable.from(
      (function* () {
        for (;;) yield piece;
      })(),
    ),
  );
  await assert.rejects(readJsonBody(endless.source, ROUTE), isCode("body_too_large"));
});

test("a lost connection is no empty body", async () => {
  const pieces = new Readable({ read() {} });
  const { source } = sourceOf(pieces);
  const read = readJsonBody(source, ROUTE);
  pieces.push(Buffer.from("{"));
  await turns();
  pieces.destroy(new Error("reset"));
  await assert.rejects(read, isCode("unavailable"));
});

test("what is left is thrown away, but not for ever", async () => {
  const pieces = new Readable({ read() {} });
  const { clock, source } = sourceOf(pieces);
  const discarded = discardBody({ ...source, expectsContinue: false });
  pieces.push(Buffer.alloc(1_000));
  await turns();
  clock.advance(1_000);
  await discarded;
});

test("text that is no JSON is refused with the place, a dangerous key by name", () => {
  assert.throws(() => parseJsonBody('{"a":}'), isCode("invalid_request"));
  assert.throws(() => parseJsonBody('{"a":{"__proto__":1}}'), /__proto__/);
  assert.equal(parseJsonBody(""), undefined);
});
