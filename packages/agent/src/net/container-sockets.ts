/** Sockets of a task's container: finds its process first, which the engine's lists do not tell. */

import type { AgentParts } from "../agent-parts.ts";
import type { Runtime } from "../runtime/port.ts";
import type { AgentState } from "../state/agent-state.ts";
import type { Containers } from "../task/containers.ts";
import { isAlive } from "../task/step-input.ts";
import type { NetLinkOptions } from "./net-link.ts";
import type { SocketTable } from "./socket-table.ts";

export interface ContainerSocketsOptions {
  readonly containers: Containers;
  readonly runtime: Pick<Runtime, "inspectContainer">;
  readonly sockets: AgentParts["sockets"];
}

/** What draining looks at besides HAProxy: sockets of a task's container, and which peers are this host. */
export function connectionsOf(
  options: ContainerSocketsOptions & { readonly state: Pick<AgentState, "networks"> },
): Pick<NetLinkOptions, "socketsOf" | "isHost"> {
  return {
    socketsOf: (task) => containerSockets(options, task),
    isHost: (address) =>
      [...options.state.networks.values()].some(({ gateway }) => gateway === address),
  };
}

/** The sockets of `task`'s living container; `undefined` without one, or where nobody can look. */
async function containerSockets(
  { containers, runtime, sockets }: ContainerSocketsOptions,
  task: string,
): Promise<SocketTable | undefined> {
  const container = containers.of(task).find((each) => isAlive(each));
  if (container === undefined) return undefined;
  const pid = container.pid ?? (await pidOf(runtime, container.id));
  return pid === undefined ? undefined : await sockets(pid);
}

/** An engine that does not answer leaves it unknown: draining goes on without. */
async function pidOf(
  runtime: ContainerSocketsOptions["runtime"],
  id: string,
): Promise<number | undefined> {
  try {
    return (await runtime.inspectContainer(id))?.pid;
  } catch {
    return undefined;
  }
}
