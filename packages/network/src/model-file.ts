/**
 * The last model on disk: what a restarted `net` follows before anybody has told it anything.
 *
 * Written whole, to the disk, and then renamed: a crash leaves the old one or the new one, never half. A
 * file that cannot be read is put aside and reported, not trusted: the agent will send a new model. Secrets of
 * the model lie in a file of their own, in memory: see model-secrets.ts.
 *
 * Waiting for the disk never stands in the way of an answer to somebody else, and a model that is overtaken
 * while an older one is being written is not written at all.
 */

import { readFileSync, renameSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import type { Logger } from "@berth/base";
import { type ModelResult, parseModel } from "./model-parse.ts";
import { type ModelSecrets, withoutSecrets, withSecrets } from "./model-secrets.ts";

export class ModelFile {
  readonly #path: string;
  readonly #secretsPath: string;
  readonly #log: Logger;
  #newest: { readonly model: unknown; readonly generation: number } | undefined;
  #turn: Promise<void> = Promise.resolve();

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
   * Resolves when this model, or a later one, survives a crash of the process and of the machine's power.
   * Takes it as it was received, so that what was left out is told again after a restart.
   */
  save(model: unknown, generation: number): Promise<void> {
    this.#newest = { model, generation };
    const write = () => this.#write();
    this.#turn = this.#turn.then(write, write);
    return this.#turn;
  }

  async #write(): Promise<void> {
    const newest = this.#newest;
    if (newest === undefined) return;
    const { rest, secrets } = withoutSecrets(newest.model, newest.generation);
    // First: a model without its secrets is followed with less, one with another's is not possible.
    await writeWhole(this.#secretsPath, JSON.stringify(secrets));
    await writeWhole(this.#path, JSON.stringify(rest));
    // After a failure it stays: who asks again, for it or a later one, has it tried again.
    if (this.#newest === newest) this.#newest = undefined;
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

async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.datasync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Refused by `parseModel`, which says so.
  }
}
