/** What is written directly: all of it, in order, also to a pipe that is full, and to a reader that went away. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { directWriter } from "./sink.ts";

class Failure extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

function written(answers: readonly (number | string)[], chunks: readonly string[]) {
  const direct: string[] = [];
  const later: string[] = [];
  let gone = 0;
  const left = [...answers];
  const write = directWriter({
    writeBytes: (bytes) => {
      const answer = left.shift() ?? bytes.length;
      if (typeof answer === "string") throw new Failure(answer);
      direct.push(Buffer.from(bytes.subarray(0, answer)).toString());
      return answer;
    },
    later: (bytes) => later.push(Buffer.from(bytes).toString()),
    readerIsGone: () => gone++,
  });
  for (const chunk of chunks) write(chunk);
  return { direct: direct.join(""), later: later.join(""), gone };
}

test("what is taken in parts is written whole", () => {
  assert.deepEqual(written([1, 2], ["abcdef", "gh"]), { direct: "abcdefgh", later: "", gone: 0 });
});

test("after a full pipe nothing overtakes what waits", () => {
  assert.deepEqual(written([2, "EAGAIN"], ["abcd", "ef"]), {
    direct: "ab",
    later: "cdef",
    gone: 0,
  });
});

test("a reader that is gone is told once a chunk; other failures are thrown", () => {
  assert.deepEqual(written(["EPIPE"], ["ab"]), { direct: "", later: "", gone: 1 });
  assert.throws(() => written(["EIO"], ["ab"]), /cannot be written: EIO/);
});

test("a process writes the same into a file and into a pipe, and ends well when nobody reads on", () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-sink-"));
  try {
    const source = join(import.meta.dirname, "sink.ts");
    const program = `
      import { processSink } from ${JSON.stringify(source)};
      const sink = processSink(1);
      for (let line = 0; line < 20000; line++) sink.write("line " + line + " é\\n");
      processSink(2).write("done");`;
    const shell = (redirection: string) =>
      spawnSync(
        "sh",
        [
          "-c",
          `"$0" --input-type=module-typescript -e "$1" ${redirection}`,
          process.execPath,
          program,
        ],
        { encoding: "utf8", cwd: folder, maxBuffer: 1e7 },
      );
    const piped = shell("| cat");
    assert.equal(piped.stdout.split("\n").length, 20_001);
    assert.ok(piped.stderr.endsWith("done"), piped.stderr);
    assert.equal(shell("> out").status, 0);
    assert.equal(readFileSync(join(folder, "out"), "utf8"), piped.stdout);
    const cut = spawnSync(
      "bash",
      [
        "-c",
        `set -o pipefail; "$0" --input-type=module-typescript -e "$1" | head -n 1`,
        process.execPath,
        program,
      ],
      { encoding: "utf8" },
    );
    assert.deepEqual([cut.status, cut.stdout], [0, "line 0 é\n"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
