/** What the engine itself says: the tests' second opinion, beside what Berth reports. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { eventually } from "./test-platform.ts";

/** Output of `docker WORDS...`. */
export function docker(...words: string[]): string {
  return execFileSync("docker", words, { stdio: ["ignore", "pipe", "pipe"] }).toString();
}

/** Ids of running containers of `service` (`default/main/shop/db`) of one cluster. */
export function runningContainers(cluster: string, service: string): string[] {
  return lines(
    docker(
      "ps",
      "-q",
      "--no-trunc",
      ...filters(`berth.cluster=${cluster}`, `berth.service=${service}`),
    ),
  );
}

/** Ids of all containers of one cluster, ended ones too. */
export function containersOfCluster(cluster: string): string[] {
  return lines(docker("ps", "-aq", "--no-trunc", ...filters(`berth.cluster=${cluster}`)));
}

export interface LifeEvent {
  readonly action: "start" | "die";
  readonly container: string;
  readonly service: string;
  readonly task: string;
  /** When this process heard of it, milliseconds; the order is the engine's. */
  readonly at: number;
}

/**
 * Starts and ends of a cluster's containers, as the engine tells them. It is listened to from the beginning,
 * since the engine keeps only its last 256 events, and checks inside containers are events, too.
 */
export class LifeRecorder {
  readonly #cluster: string;
  readonly #events: LifeEvent[] = [];
  readonly #before: readonly string[];
  readonly #child: ChildProcess;

  constructor(cluster: string, socket = "/var/run/docker.sock") {
    this.#cluster = cluster;
    this.#before = this.#running();
    // From now on, also when the program takes a while to begin.
    const since = ["--since", String(Date.now() / 1_000)];
    const words = ["-H", `unix://${socket}`, "events", "--format", "{{json .}}", ...since];
    words.push("--filter", "event=start", "--filter", "event=die");
    words.push(...filters(`berth.cluster=${cluster}`));
    this.#child = spawn("docker", words, { stdio: ["ignore", "pipe", "ignore"] });
    if (this.#child.stdout === null) throw new Error("no output");
    createInterface({ input: this.#child.stdout }).on("line", (line) => this.#note(line));
  }

  /** Everything so far, once it agrees with what the engine says runs now. */
  async events(): Promise<readonly LifeEvent[]> {
    await eventually("the engine's events are here", () => {
      const running = new Set<string>(this.#before);
      for (const { action, container } of this.#events) {
        if (action === "start") running.add(container);
        else running.delete(container);
      }
      const now = this.#running();
      return now.length === running.size && now.every((id) => running.has(id));
    });
    return [...this.#events];
  }

  /** What happened since: `const later = await recorder.mark(); ...; await later()`. */
  async mark(): Promise<() => Promise<readonly LifeEvent[]>> {
    const { length } = await this.events();
    return async () => (await this.events()).slice(length);
  }

  stop(): void {
    this.#child.kill();
  }

  #running(): string[] {
    return lines(docker("ps", "-q", "--no-trunc", ...filters(`berth.cluster=${this.#cluster}`)));
  }

  #note(line: string): void {
    const event: {
      readonly Action: "start" | "die";
      readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> };
    } = JSON.parse(line);
    const { Attributes, ID } = event.Actor;
    this.#events.push({
      action: event.Action,
      container: ID,
      service: Attributes["berth.service"] ?? "",
      task: Attributes["berth.task"] ?? "",
      at: performance.now(),
    });
  }
}

/** The largest number of containers that ran at one time, of those that `choose` selects. */
export function mostAtOnce(
  events: readonly LifeEvent[],
  runningBefore: readonly string[],
  choose: (event: LifeEvent) => boolean,
): number {
  const running = new Set(runningBefore);
  let most = running.size;
  for (const event of events.filter(choose)) {
    if (event.action === "start") running.add(event.container);
    else running.delete(event.container);
    most = Math.max(most, running.size);
  }
  return most;
}

function filters(...labels: string[]): string[] {
  return labels.flatMap((label) => ["--filter", `label=${label}`]);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
