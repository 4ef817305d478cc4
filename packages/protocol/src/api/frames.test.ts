/** Frames come out whole and in order, however the bytes are cut; what is no frame is said. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  encodeFrame,
  encodeJsonFrame,
  FRAME_BYTES_MAX,
  FRAME_KINDS,
  FrameDecoder,
  type FrameKind,
  jsonOfFrame,
} from "./frames.ts";

const frame = fc.record(
  {
    kind: fc.constantFrom(...(Object.keys(FRAME_KINDS) as FrameKind[])),
    payload: fc.uint8Array({ maxLength: 40 }),
  },
  { noNullPrototype: true },
);

test("frames survive any cutting of their bytes", () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1 }),
      (frames, sizes) => {
        const bytes = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
        const decoder = new FrameDecoder();
        const seen: { kind: FrameKind; payload: Uint8Array }[] = [];
        for (let start = 0, turn = 0; start < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          const { frames: completed, malformed } = decoder.push(
            bytes.subarray(start, start + size),
          );
          assert.equal(malformed, undefined);
          for (const { kind, payload } of completed) {
            seen.push({ kind, payload: Uint8Array.from(payload) });
          }
          start += size;
        }
        assert.deepEqual(seen, frames);
      },
    ),
    { seed: 3 },
  );
});

test("an unknown kind and a length over the limit are malformed, what came before is not lost", () => {
  const good = encodeFrame("stdout", Buffer.from("ok"));
  const unknown = new FrameDecoder().push(Buffer.concat([good, Buffer.from([99, 0, 0, 0, 0])]));
  assert.equal(unknown.frames.length, 1);
  assert.match(unknown.malformed ?? "", /kind 99/);
  const header = Buffer.alloc(5);
  header.writeUInt32BE(FRAME_BYTES_MAX + 1, 1);
  assert.match(new FrameDecoder().push(header).malformed ?? "", /bytes/);
});

test("a frame's JSON comes back, other payloads have none", () => {
  const [exit] = new FrameDecoder().push(encodeJsonFrame("exit", { code: 3 })).frames;
  assert.ok(exit);
  assert.deepEqual(jsonOfFrame(exit), { code: 3 });
  assert.equal(jsonOfFrame({ kind: "exit", payload: Buffer.from("{") }), undefined);
});
