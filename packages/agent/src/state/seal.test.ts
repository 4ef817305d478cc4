import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { keyFile, sealerOf } from "./seal.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-seal-"));
after(() => rmSync(directory, { recursive: true, force: true }));

test("what was sealed is opened in its place, with its key, unchanged, and nowhere else", () => {
  const sealer = sealerOf(randomBytes(32));
  const sealed = sealer.seal("pässword\n", "task01");
  assert.equal(sealer.open(sealed, "task01"), "pässword\n");
  assert.notEqual(sealer.seal("pässword\n", "task01"), sealed, "never the same twice");
  assert.throws(() => sealer.open(sealed, "task02"), { code: "internal" });
  assert.throws(() => sealerOf(randomBytes(32)).open(sealed, "task01"), { code: "internal" });
  const bytes = Buffer.from(sealed, "base64");
  for (let at = 0; at < bytes.length; at += 5) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.throws(() => sealer.open(changed.toString("base64"), "task01"), { code: "internal" });
  }
});

test("the key is made once, for its owner only; a readable one is refused", () => {
  const path = join(directory, "key");
  const key = keyFile(path);
  assert.equal(key.length, 32);
  assert.deepEqual(keyFile(path), key);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  chmodSync(path, 0o640);
  assert.throws(() => keyFile(path), { code: "forbidden" });
});
