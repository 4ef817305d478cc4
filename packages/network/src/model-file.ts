/**
 * The last model on disk: what a restarted `net` follows before anybody has told it anything.
 *
 * Written whole, to the disk, and then renamed: a crash leaves the old one or the new one, never half. A
 * file that cannot be read is put aside and reported, not trusted: the agent will send a new model.
 */

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { Logger } from "@berth/base";
import { type ModelResult, parseModel } from "./model-parse.ts";

export class ModelFile {
  readonly #path: string;
  readonly #log: Logger;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** The stored model; `undefined` when there is none that can be used. */
  load(): Extract<ModelResult, { ok: true }> | undefined {
    const text = this.#read();
    if (text === undefined) return undefined;
    const result = parseModel(parseJson(text));
    if (result.ok) return result;
    this.#log.error("the stored model cannot be used and is put aside", { reason: result.reason });
    renameSync(this.#path, `${this.#path}.bad`);
    return undefined;
  }

  /**
   * Returns when the model survives a crash of the process and of the machine's power. Takes it as it was
   * received, so that what was left out is told again after a restart.
   */
  save(model: unknown): void {
    const file = openSync(`${this.#path}.new`, "w", 0o600);
    try {
      writeSync(file, JSON.stringify(model));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${this.#path}.new`, this.#path);
  }

  #read(): string | undefined {
    try {
      return readFileSync(this.#path, "utf8");
    } catch (error) {
      const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!missing) this.#log.error("the stored model cannot be read", { error });
      return undefined;
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Refused by `parseModel`, which says so.
  }
}
