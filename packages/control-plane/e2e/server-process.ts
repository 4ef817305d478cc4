/** Starts `server-child.ts`, and asks it for its figures. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { assert } from "@berth/base";
import type { ServerChildOptions, ServerFigures } from "./server-child.ts";

export interface ServerProcess {
  readonly url: string;
  readonly dataDir: string;
  /** Since the last time. */
  figures(): Promise<ServerFigures>;
  kill(): Promise<void>;
  /** Gracefully. */
  stop(): Promise<void>;
}

export interface ServerProcessOptions extends ServerChildOptions {
  /** Directory of a server of the same cluster: its key of the secrets is taken over. */
  readonly sibling?: string;
  /** Further words for Node: a profile, a limit of memory. */
  readonly nodeWords?: readonly string[];
}

const CHILD = fileURLToPath(new URL("./server-child.ts", import.meta.url));

/** Resolves when it listens. */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { sibling, nodeWords = [], ...child } = options;
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  if (sibling !== undefined) {
    await copyFile(join(sibling, "secret.key"), join(options.dataDir, "secret.key"));
  }
  const words = ["--disable-warning=ExperimentalWarning", ...nodeWords, CHILD];
  const running = spawn(process.execPath, [...words, JSON.stringify(child)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const { stdin, stdout } = running;
  assert(stdin !== null && stdout !== null, "both are pipes");
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const nextLine = async <T>(): Promise<T> => {
    const { done, value } = await lines.next();
    assert(done !== true, "the server's process lives");
    return JSON.parse(value) as T;
  };
  const { url } = await nextLine<{ url: string }>();
  return {
    url,
    dataDir: options.dataDir,
    figures: () => {
      stdin.write("\n");
      return nextLine<ServerFigures>();
    },
    kill: () => killProcess(running),
    stop: async () => {
      const exited = once(running, "exit");
      stdin.end();
      await exited;
    },
  };
}

async function killProcess(running: ChildProcess): Promise<void> {
  if (running.exitCode !== null || running.signalCode !== null) return;
  const exited = once(running, "exit");
  running.kill("SIGKILL");
  await exited;
}
