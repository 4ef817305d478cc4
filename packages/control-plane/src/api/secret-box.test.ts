/** Sealed secrets open only where they were sealed, with the key that sealed them, undamaged. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@berth/protocol";
import fc from "fast-check";
import { SecretBox } from "./secret-box.ts";

const box = new SecretBox(new Uint8Array(32).fill(1));
const other = new SecretBox(new Uint8Array(32).fill(2));

function refuses(open: () => unknown): void {
  assert.throws(open, (error) => error instanceof ProtocolError && error.code === "internal");
}

test("any content comes back from its place, and looks like nothing there", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string(), (content, place) => {
      const sealed = box.seal(content, place);
      assert.deepEqual(Uint8Array.from(box.open(sealed, place)), content);
      assert.notEqual(box.seal(content, place), sealed, "each seal has a nonce of its own");
    }),
    { seed: 10, numRuns: 100 },
  );
});

test("another place, another key and any changed byte are refused", () => {
  const sealed = box.seal(Buffer.from("content"), "a/secret/b");
  refuses(() => box.open(sealed, "a/secret/c"));
  refuses(() => other.open(sealed, "a/secret/b"));
  refuses(() => box.open("{}", "a/secret/b"));
  const bytes = Buffer.from((JSON.parse(sealed) as { sealed: string }).sealed, "base64");
  for (let index = 0; index < bytes.length; index++) {
    const changed = Buffer.from(bytes);
    changed[index] = (changed[index] ?? 0) ^ 1;
    const text = JSON.stringify({ sealed: changed.toString("base64") });
    refuses(() => box.open(text, "a/secret/b"));
  }
});

test("versions depend on content, place and key", () => {
  const content = Buffer.from("content");
  const version = box.versionOf(content, "p");
  assert.match(version, /^[a-f0-9]{32}$/);
  assert.equal(box.versionOf(content, "p"), version);
  assert.notEqual(box.versionOf(content, "q"), version);
  assert.notEqual(box.versionOf(Buffer.from("x"), "p"), version);
  assert.notEqual(other.versionOf(content, "p"), version);
  refuses(() => new SecretBox(new Uint8Array(31)));
});
