/** What the engine itself says: the tests' second opinion, beside what Berth reports. */

import { execFileSync } from "node:child_process";

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
  readonly action: string;
  readonly container: string;
  readonly service: string;
  readonly task: string;
  /** Nanoseconds since 1970, as the engine counts. */
  readonly at: bigint;
}

/** Starts and ends of a cluster's containers since `from` (milliseconds since 1970), in order. */
export function lifeEvents(cluster: string, from: number): LifeEvent[] {
  const words = [
    "--since",
    seconds(from),
    "--until",
    seconds(Date.now()),
    "--format",
    "{{json .}}",
  ];
  const events = docker("events", ...words, ...filters(`berth.cluster=${cluster}`));
  return lines(events).flatMap((line) => {
    const event: {
      readonly Type: string;
      readonly Action: string;
      readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> };
      readonly timeNano: number;
    } = JSON.parse(line);
    if (event.Type !== "container" || !["start", "die"].includes(event.Action)) return [];
    const { Attributes, ID } = event.Actor;
    // The number exceeds what a double holds: it is taken from the text.
    const at = BigInt(/"timeNano":(\d+)/.exec(line)?.[1] ?? 0);
    const service = Attributes["berth.service"] ?? "";
    const task = Attributes["berth.task"] ?? "";
    return [{ action: event.Action, container: ID, service, task, at }];
  });
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

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
