/** The statuses of tasks as the server tells them, for benches that measure from the agent's decision on. */

import { readFileSync } from "node:fs";
import { type ClientRequest, request } from "node:http";
import type { BenchPlatform } from "./bench-host.ts";

export interface StatusEvent {
  readonly task: string;
  readonly ready: boolean;
  /** Wall time of the agent's decision, milliseconds. */
  readonly readyAt: number;
  readonly updatedAt: number;
}

export class StatusWatch {
  onStatus: (status: StatusEvent) => void = () => {};
  #request: ClientRequest | undefined;

  static async open(platform: BenchPlatform): Promise<StatusWatch> {
    const watch = new StatusWatch();
    const token = readFileSync(`${platform.dataDir}/admin.token`, "utf8").trim();
    const outgoing = request({
      port: 7710,
      method: "POST",
      path: "/v1/watch",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    });
    watch.#request = outgoing;
    await new Promise<void>((resolve, reject) => {
      outgoing.once("error", reject);
      outgoing.once("response", (incoming) => {
        outgoing.on("error", () => {});
        incoming.on("error", () => {});
        let rest = "";
        incoming.setEncoding("utf8").on("data", (chunk: string) => {
          const lines = (rest + chunk).split("\n");
          rest = lines.pop() ?? "";
          for (const line of lines) watch.#take(line);
        });
        resolve();
      });
      outgoing.end(JSON.stringify({ selectors: [{ kind: "status" }] }));
    });
    return watch;
  }

  close(): void {
    this.#request?.destroy();
  }

  #take(line: string): void {
    const event = JSON.parse(line) as { type: string; value?: StatusEvent };
    if (event.type === "put" && event.value !== undefined) this.onStatus(event.value);
  }
}
