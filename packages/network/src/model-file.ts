/**
 * The last model on disk: what a restarted `net` follows before anybody has told it anything.
 *
 * Written whole, to the disk, and then renamed: a crash leaves the old one or the new one, never half. A
 * file that cannot be read is put aside and reported, not trusted: the agent will send a new model. Secrets of
 * the model lie in a file of their own, in memory: see model-secrets.ts.
 */

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { Logger } from "@berth/base";
import { type ModelResult, parseModel } from "./model-parse.ts";
import { type ModelSecrets, withoutSecrets, withSecrets } from "./model-secrets.ts";

export class ModelFile {
  readonly #path: string;
  readonly #secretsPath: string;
  readonly #log: Logger;

  constructor(paths: { readonly path: string; readonly secretsPath: string }, log: Logger) {
    this.#path = paths.path;
    this.#secretsPath = paths.secretsPath;
    this.#log = log;
  }

  /** The stored model; `undefined` when there is none that can be used. */
  load(): Extract<ModelResult, { ok: true }> | undefined {
    const text = this.#read(this.#path);
    if (text === undefined) return undefined;
    const secrets = parseJson(this.#read(this.#secretsPath) ?? "");
    const result = parseModel(withSecrets(parseJson(text), secrets as ModelSecrets | undefined));
    if (result.ok) return result;
    this.#log.error("the stored model cannot be used and is put aside", { reason: result.reason });
    renameSync(this.#path, `${this.#path}.bad`);
    return undefined;
  }

  /**
   * Returns when the model survives a crash of the process and of the machine's power. Takes it as it was
   * received, so that what was left out is told again after a restart.
   */
  save(model: unknown, generation: number): void {
    const { rest, secrets } = withoutSecrets(model, generation);
    // First: a model without its secrets is followed with less, one with another's is not possible.
    writeWhole(this.#secretsPath, JSON.stringify(secrets));
    writeWhole(this.#path, JSON.stringify(rest));
  }

  #read(path: string): string | undefined {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!missing) this.#log.error("the stored model cannot be read", { error });
      return undefined;
    }
  }
}

function writeWhole(path: string, text: string): void {
  const file = openSync(`${path}.new`, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Refused by `parseModel`, which says so.
  }
}
