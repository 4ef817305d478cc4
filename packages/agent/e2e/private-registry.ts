/** A real registry on loopback, with one user who may use it. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "@berth/base";

export interface PrivateRegistry {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  close(): Promise<void>;
}

/** Starts a registry that lets in `username` with `password` alone. */
export async function openRegistry(username: string, password: string): Promise<PrivateRegistry> {
  const directory = await mkdtemp(join(tmpdir(), "berth-registry-"));
  const port = await freePort();
  const { stdout } = await promisify(execFile)("htpasswd", ["-Bbn", username, password]);
  await writeFile(join(directory, "htpasswd"), stdout);
  const config = {
    version: "0.1",
    storage: { filesystem: { rootdirectory: join(directory, "data") } },
    http: { addr: `127.0.0.1:${port}` },
    auth: { htpasswd: { realm: "berth", path: join(directory, "htpasswd") } },
  };
  // JSON is YAML.
  await writeFile(join(directory, "config.yml"), JSON.stringify(config));
  const child = spawn("docker-registry", ["serve", join(directory, "config.yml")], {
    stdio: "ignore",
  });
  await answering(port, child);
  return {
    address: `127.0.0.1:${port}`,
    close: async () => {
      child.kill("SIGKILL");
      await rm(directory, { recursive: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** Resolves when the registry answers; it takes a moment to start. */
async function answering(port: number, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline && child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    if (answer?.status === 401) return;
    await new Promise<void>((resolve) => {
      systemClock.setTimer(50, resolve);
    });
  }
  throw new Error("the registry did not start");
}
