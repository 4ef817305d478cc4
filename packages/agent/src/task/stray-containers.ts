/**
 * Ends containers of ours that no task accounts for: those of tasks that the server does not know, once it
 * is trusted to say so, and late creations of tasks that were removed.
 *
 * Until the server's full list was taken in, nothing is touched: after the loss of the local database
 * every container looks like a stray.
 */

import { LABEL_TASK } from "../runtime/port.ts";
import type { TaskPorts } from "./task-ports.ts";

/** Nobody knows what the file said about grace: Compose's default. */
const STRAY_GRACE_MS = 10_000;

export interface StrayPorts
  extends Pick<TaskPorts, "runtime" | "state" | "containers" | "stops" | "log"> {
  /** The server's full list is here and its word counts. */
  readonly listIsTrusted: () => boolean;
  readonly onRemoved: (task: string) => void;
}

/** Ends and removes every stray of this moment. */
export async function removeStrays(ports: StrayPorts, signal: AbortSignal): Promise<void> {
  const { runtime, state, containers, stops, log } = ports;
  for (const container of [...containers.all()]) {
    const task = container.labels[LABEL_TASK] ?? "";
    const isLate = state.records.get(task)?.state === "removed";
    const isUnknown = !state.told.has(task) && ports.listIsTrusted();
    if (!isLate && !isUnknown) continue;
    log.info("removing a stray container", { task, container: container.name, isLate });
    await stops.run("begin", signal, async () => {
      if (container.phase === "running" || container.phase === "paused") {
        await runtime.stopContainer(container.id, STRAY_GRACE_MS, signal);
      }
      await runtime.removeContainer(container.id, signal);
    });
    containers.drop(container.id);
    ports.onRemoved(task);
  }
}
