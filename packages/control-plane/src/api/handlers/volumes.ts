/** Volumes of an environment. */

import { MINUTE_MS } from "@berth/base";
import {
  keys,
  type Operation,
  ProtocolError,
  stackKey,
  type Task,
  taskName,
} from "@berth/protocol";
import { beginMove, usersOf } from "../../release/volume-moves.ts";
import { type ClusterView, environmentOf } from "../../state/cluster-tables.ts";
import { commitDecision } from "../commit.ts";
import type { ApiContext, Handler } from "../handler.ts";
import { pageOf } from "../paging.ts";
import { receive } from "../transfers.ts";
import { beginRemoval, endRemoval } from "../volume-removal.ts";

/** An engine removes a volume in seconds, a large one in tens of them. */
const REMOVAL_TIMEOUT_MS = MINUTE_MS;

export const listVolumes: Handler<"listVolumes"> = ({ params, query }, { state: { view } }) => {
  const environment = environmentOf(params);
  const users = usersOfVolumes(view, environment);
  const volumes = view.volumes
    .by("environment", environment)
    .filter(({ value }) => query.stack === undefined || value.stack === query.stack);
  return pageOf(volumes, query, ({ value: volume }) => ({
    volume,
    usedBy: users.get(volume.engineName) ?? [],
  }));
};

/** `web-1` ... by the volume's name at the engine; only tasks that may be alive. */
function usersOfVolumes(view: ClusterView, environment: string): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { value: task } of view.tasks.by("environment", environment)) {
    if (!mayUse(view, task)) continue;
    for (const { engineName } of task.volumes) {
      users.set(engineName, [...(users.get(engineName) ?? []), taskName(task)]);
    }
  }
  return users;
}

function mayUse(view: ClusterView, task: Task): boolean {
  const [status] = view.statuses.by("task", task.id);
  return status?.value.state !== "ended" && status?.value.state !== "removed";
}

export const getVolume: Handler<"getVolume"> = ({ params }, { state: { view } }) => {
  const found = view.volumes.get(keys.volume(params, params.volume));
  if (found === undefined) {
    const volumes = view.volumes.by("stack", stackKey(params)).map(({ value }) => value.name);
    const message = `stack ${stackKey(params)} has no volume ${params.volume}`;
    throw new ProtocolError("not_found", message, { volumes });
  }
  const { value: volume } = found;
  const { operation = "" } = volume.hold ?? {};
  const progress = view.operations.by("id", operation)[0]?.value.progress;
  const usedBy = usersOf(view, found);
  return { volume, usedBy, ...(progress === undefined ? {} : { progress }) };
};

export const moveVolume: Handler<"moveVolume"> = (request, context) => {
  const { params: scope, body } = request;
  const wish = { scope, name: scope.volume, to: body.to };
  const [id, now] = [context.newId(), context.clock.now()];
  return commitDecision(
    context,
    request,
    {
      route: "moveVolume",
      matched: (view) => view.volumes.get(keys.volume(scope, scope.volume)),
    },
    (view) => beginMove(view, { ...wish, id, now }),
  );
};

/** From the node that has it to the one that receives it, by the operation that says so. */
export const getVolumeContent: Handler<"getVolumeContent"> = async (request, context) => {
  const { params, signal } = request;
  const { sessions, transfers, state } = context;
  const operation = state.view.operations.get(keys.operation(params.node, params.operation))?.value;
  const isOpen = operation?.state === "pending" || operation?.state === "running";
  if (operation?.input.kind !== "receive-volume" || !isOpen) {
    const message = `node ${params.node} receives no volume by operation ${params.operation}`;
    throw new ProtocolError("not_found", message);
  }
  const { from, source: engineName } = operation.input;
  const done = transfers.begin(from);
  try {
    const stream = await sessions.open(from, { kind: "volume", engineName, live: false }, signal);
    return await receive(stream, { what: `volume ${engineName} from node ${from}`, done, signal });
  } catch (error) {
    done();
    throw error;
  }
};

export const removeVolume: Handler<"removeVolume"> = async (request, context) => {
  const { params, signal } = request;
  const removal = {
    scope: params,
    name: params.volume,
    operationId: context.newId(),
    now: context.clock.now(),
  };
  // The answer's record belongs to the last step: only then is the removal done.
  const unrecorded = { ...request, idempotency: undefined };
  const route = "removeVolume";
  const begun = await commitDecision(
    context,
    unrecorded,
    { route, matched: (view) => view.volumes.get(keys.volume(params, params.volume)) },
    (view) => beginRemoval(view, removal),
  );
  if (begun.operation !== undefined) {
    await whenDone(context, begun.operation, signal);
    const last = { ...request, ifMatch: undefined };
    await commitDecision(context, last, { route }, (view) => endRemoval(view, removal));
  }
  return begun.volume;
};

/** Resolves when the agent has reported that the operation is done. */
async function whenDone(
  context: ApiContext,
  operation: Operation,
  signal: AbortSignal,
): Promise<void> {
  const late = new AbortController();
  const cancel = context.clock.setTimer(REMOVAL_TIMEOUT_MS, () => {
    const message = `node ${operation.node} has not removed the volume in time; it goes on trying`;
    const details = { deadlineMs: REMOVAL_TIMEOUT_MS, node: operation.node };
    late.abort(new ProtocolError("timed_out", message, details));
  });
  const either = AbortSignal.any([signal, late.signal]);
  try {
    for (;;) {
      const [known] = context.state.view.operations.by("id", operation.id);
      if (known?.value.state === "done") return;
      if (known === undefined || known.value.state === "failed") {
        const reason = known?.value.error?.message ?? "the operation was forgotten";
        const message = `node ${operation.node} cannot remove the volume: ${reason}`;
        throw new ProtocolError("engine_error", message, { node: operation.node });
      }
      await context.state.waitFor(context.state.revision + 1, either);
    }
  } finally {
    cancel();
  }
}
