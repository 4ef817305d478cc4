/** Log entries: one JSON line each, fields kept, errors with their causes, levels respected. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { lineLogger, silentLogger } from "./log.ts";

function collecting(level?: "debug" | "warn") {
  const lines: string[] = [];
  const logger = lineLogger({
    write: (line) => lines.push(line),
    now: () => 0,
    ...(level === undefined ? {} : { level }),
  });
  return { logger, lines };
}

test("an entry is one line of JSON with time, level, message and fields", () => {
  const { logger, lines } = collecting();
  logger.with({ task: "t1" }).info("started\nnow", { attempt: 2 });
  assert.deepEqual(
    lines.map((line) => line.slice(-1)),
    ["\n"],
  );
  assert.equal(lines[0]?.trimEnd().includes("\n"), false);
  assert.deepEqual(JSON.parse(lines[0] ?? ""), {
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    message: "started\nnow",
    task: "t1",
    attempt: 2,
  });
});

test("an error is written with its name, code and causes", () => {
  const { logger, lines } = collecting();
  const cause = Object.assign(new Error("disk"), { code: "ENOSPC" });
  logger.error("failed", { error: new TypeError("outer", { cause }) });
  const { error } = JSON.parse(lines[0] ?? "");
  assert.equal(error.name, "TypeError");
  assert.equal(error.cause.message, "disk");
  assert.equal(error.cause.code, "ENOSPC");
  assert.match(error.stack, /log\.test\.ts/);
});

test("entries below the level are dropped; a logger's child has its level", () => {
  const quiet = collecting("warn");
  quiet.logger.debug("a");
  quiet.logger.with({}).info("b");
  quiet.logger.warn("c");
  assert.equal(quiet.lines.length, 1);
  const loud = collecting("debug");
  loud.logger.debug("a");
  assert.equal(loud.lines.length, 1);
  silentLogger.with({ a: 1 }).error("nobody hears");
});
