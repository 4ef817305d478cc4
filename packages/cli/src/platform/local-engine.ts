/** The container engine of this machine: does it answer, who starts it. */

import { existsSync } from "node:fs";
import { request } from "node:http";
import { runProgram } from "../image/run-program.ts";

/** An engine that runs answers its ping in milliseconds; one that starts takes two seconds. */
const PING_TIMEOUT_MS = 2_000;

export interface EnginePing {
  readonly apiVersion: string;
  readonly experimental: boolean;
}

/** Answers nothing when no engine listens. */
export function pingEngine(socketPath: string): Promise<EnginePing | undefined> {
  return new Promise((resolve) => {
    const outgoing = request(
      { socketPath, path: "/_ping", timeout: PING_TIMEOUT_MS, agent: false },
      (incoming) => {
        incoming.resume();
        const apiVersion = incoming.headers["api-version"];
        resolve(
          incoming.statusCode === 200
            ? { apiVersion: String(apiVersion), experimental: false }
            : undefined,
        );
      },
    );
    outgoing.once("timeout", () => outgoing.destroy());
    outgoing.once("error", () => resolve(undefined));
    outgoing.end();
  });
}

/** JSON of the engine's answer to a GET. */
export function askEngine(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, timeout: 10_000, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.once("end", () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch (error) {
          reject(error);
        }
      });
      incoming.once("error", reject);
    });
    outgoing.once("timeout", () => outgoing.destroy());
    outgoing.once("error", reject);
    outgoing.end();
  });
}

/** systemd is the init of this machine (not merely installed). */
export function hasSystemd(): boolean {
  return existsSync("/run/systemd/system");
}

/** Starts Docker's own unit. */
export async function startEngineUnit(): Promise<void> {
  await runProgram(["systemctl", "enable", "--now", "docker.service"]);
}
