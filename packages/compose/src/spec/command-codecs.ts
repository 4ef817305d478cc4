/**
 * Commands (`command`, `entrypoint`, hooks), health tests and hooks.
 */

import { type Codec, refuse } from "../codec/codec.ts";
import { environmentTable, list, texts } from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import { bool, durationMs, integer, text } from "../codec/scalar-codecs.ts";
import type { Healthcheck, ServiceHook, StartStep } from "../model/deploy-model.ts";
import { shellWords } from "../text/shell-words.ts";
import { isNull, kindName } from "../tree/tree.ts";

/** Words, from a list or from a line. Nothing is null: the image's own. */
export const command: Codec<readonly string[] | null> = {
  read(tree, path, reading) {
    if (isNull(tree)) return null;
    if (tree.kind === "seq") return texts.read(tree, path, reading);
    const line = tree.kind === "scalar" && tree.type === "string" ? tree.text : undefined;
    if (line === undefined) {
      return refuse(reading, tree, path, {
        found: `is ${kindName(tree)}`,
        expected: "text or a list",
      });
    }
    const words = shellWords(line);
    if (words !== undefined) return words;
    return refuse(reading, tree, path, {
      found: "cannot be split into words: a quote is not closed, or ( ) ` stand outside quotes",
      expected: 'a list such as ["sh", "-c", "..."]',
    });
  },
  print(words, format) {
    if (words === null) return format === "json" ? null : undefined;
    return words;
  },
  schema: { oneOf: [{ type: "null" }, { type: "string" }, texts.schema] },
};

/** The test of a health check: text is run by a shell. */
const healthTest: Codec<readonly string[]> = {
  read(tree, path, reading) {
    if (tree.kind !== "scalar" || isNull(tree)) return texts.read(tree, path, reading);
    const line = text.read(tree, path, reading);
    return line === undefined ? undefined : ["CMD-SHELL", line];
  },
  print: (words) => (words.length === 0 ? undefined : words),
  schema: { oneOf: [{ type: "string" }, texts.schema] },
};

/** `healthcheck`. */
export const healthcheck = record<Healthcheck>(
  {
    test: field("test", healthTest),
    timeoutMs: field("timeout", durationMs),
    intervalMs: field("interval", durationMs),
    retries: field("retries", integer({ min: 0, truncate: true }), { keepZero: true }),
    startPeriodMs: field("start_period", durationMs),
    startIntervalMs: field("start_interval", durationMs),
    disable: field("disable", bool),
  },
  {
    misplaced: {
      command: "test",
      cmd: "test",
      period: "interval",
      start: "start_period",
      delay: "start_period",
    },
  },
);

/** A hook runs something: unlike a service's command, which may be the image's own, it cannot be nothing. */
const hookCommand: Codec<readonly string[] | null> = {
  ...command,
  read: (tree, path, reading) =>
    isNull(tree)
      ? refuse(reading, tree, path, { found: "is nothing", expected: "text or a list" })
      : command.read(tree, path, reading),
};

function hookOf(codec: Codec<readonly string[] | null>) {
  return record<ServiceHook>({
    command: field("command", codec, { jsonAbsent: null, required: true }),
    user: field("user", text),
    privileged: field("privileged", bool),
    workingDir: field("working_dir", text),
    environment: field("environment", environmentTable),
  });
}

/** `develop.watch.exec`: the reference's JSON has one without a command where there is none. */
export const watchHook = hookOf(command);

/** `post_start` and `pre_stop`: hooks in their order. */
export const serviceHooks = list(hookOf(hookCommand));

/** `pre_start`: steps in their order. */
export const startSteps = list(
  record<StartStep>({
    command: field("command", command),
    image: field("image", text),
    user: field("user", text),
    privileged: field("privileged", bool),
    workingDir: field("working_dir", text),
    environment: field("environment", environmentTable),
    perReplica: field("per_replica", bool),
  }),
);
