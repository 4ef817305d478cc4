/** What the engine tells of a cluster's containers, as it happens. */

import type { EngineClient } from "./docker-client.ts";
import { numberAt, textAt } from "./docker-json.ts";
import { jsonLinesOf } from "./docker-stream.ts";
import { LABEL_CLUSTER, LABEL_TASK, type RuntimeEvent } from "./port.ts";

const KINDS: Readonly<Record<string, RuntimeEvent["kind"]>> = {
  start: "started",
  die: "exited",
  destroy: "removed",
  oom: "oom",
};

export async function* followEvents(
  client: EngineClient,
  cluster: string,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent> {
  const filters = JSON.stringify({
    type: ["container"],
    label: [`${LABEL_CLUSTER}=${cluster}`],
    event: Object.keys(KINDS),
  });
  try {
    const context = "follow events";
    const path = "/events";
    const lines = await client.open({ method: "GET", path, query: { filters }, context, signal });
    for await (const line of jsonLinesOf(lines)) {
      const event = eventOf(line);
      if (event !== undefined) yield event;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function eventOf(json: unknown): RuntimeEvent | undefined {
  const kind = KINDS[textAt(json, "Action") ?? textAt(json, "status") ?? ""];
  const containerId = textAt(json, "Actor", "ID") ?? textAt(json, "id");
  if (kind === undefined || containerId === undefined) return undefined;
  const task = textAt(json, "Actor", "Attributes", LABEL_TASK);
  const code = textAt(json, "Actor", "Attributes", "exitCode");
  const nanos = numberAt(json, "timeNano");
  return {
    kind,
    containerId,
    ...(task === undefined ? {} : { task }),
    ...(kind === "exited" && code !== undefined ? { exitCode: Number(code) } : {}),
    at: nanos === undefined ? (numberAt(json, "time") ?? 0) * 1_000 : nanos / 1_000_000,
  };
}
