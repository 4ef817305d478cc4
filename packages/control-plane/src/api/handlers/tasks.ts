/** Tasks, logs and exec: what runs, what it says, and a way in. */

import {
  type DialRequest,
  ExecRequest,
  isFinal,
  ProtocolError,
  parseAs,
  type StackScope,
  stackKey,
  type Task,
} from "@berth/protocol";
import {
  pauseTask as decidePause,
  resumeTask as decideResumption,
} from "../../release/task-commands.ts";
import { type ClusterView, environmentOf } from "../../state/cluster-tables.ts";
import { commitDecision } from "../commit.ts";
import type { ApiContext, Handler } from "../handler.ts";
import { LOG_NODES_MAX, openLogs } from "../log-stream.ts";
import { booleanOf, integerOf, pageOf } from "../paging.ts";
import { joinStreams } from "../session-hub.ts";

export const listTasks: Handler<"listTasks"> = ({ params, query }, { state: { view } }) => {
  const all = booleanOf("all", query.all);
  const tasks = view.tasks
    .by("environment", environmentOf(params))
    .filter(
      ({ value: task }) =>
        (query.stack === undefined || task.stack === query.stack) &&
        (query.service === undefined || task.service === query.service) &&
        (query.node === undefined || task.node === query.node) &&
        (all || !hasEnded(view, task)),
    );
  return pageOf(tasks, query, ({ value: task }) => {
    const [status] = view.statuses.by("task", task.id);
    return { task, ...(status === undefined ? {} : { status: status.value }) };
  });
};

/** Nothing of it runs any more, or it was given up. */
function hasEnded(view: ClusterView, task: Task): boolean {
  const [status] = view.statuses.by("task", task.id);
  return task.verdict !== undefined || (status !== undefined && isFinal(status.value.state));
}

export const readLogs: Handler<"readLogs"> = async ({ params, query, signal }, context) => {
  const { view } = context.state;
  checkLogSource(view, params, query);
  const request = logRequest(params, query);
  const nodes = nodesToAsk(view, params, query);
  if (nodes.length === 0) return nothing();
  return linesOf(await openLogs(context, { nodes, request, signal }));
};

interface LogQuery {
  readonly service?: string;
  readonly task?: string;
}

function logRequest(
  { project, environment, stack }: StackScope,
  query: Parameters<Handler<"readLogs">>[0]["query"],
): DialRequest["request"] & { kind: "logs" } {
  const release = integerOf("release", query.release);
  const tail = integerOf("tail", query.tail);
  const since = integerOf("since", query.since);
  const until = integerOf("until", query.until);
  return {
    kind: "logs",
    project,
    environment,
    stack,
    follow: booleanOf("follow", query.follow),
    ...(query.service === undefined ? {} : { service: query.service }),
    ...(query.task === undefined ? {} : { task: query.task }),
    ...(release === undefined ? {} : { release }),
    ...(tail === undefined ? {} : { tail }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
}

/** A name that never was is an error; lines of what has gone may still be somewhere. */
function checkLogSource(view: ClusterView, scope: StackScope, query: LogQuery): void {
  const releases = view.releases.by("stack", stackKey(scope));
  const tasks = view.tasks.by("stack", stackKey(scope));
  if (releases.length === 0 && tasks.length === 0) {
    throw new ProtocolError("not_found", `there is no stack ${stackKey(scope)}`);
  }
  const { service } = query;
  if (service === undefined) return;
  const known =
    releases.some(({ value }) => Object.hasOwn(value.services, service)) ||
    tasks.some(({ value }) => value.service === service);
  if (known) return;
  const services = Object.keys(releases.at(-1)?.value.services ?? {});
  const message = `stack ${stackKey(scope)} has no service ${service}`;
  throw new ProtocolError("not_found", message, { services });
}

/** Nodes with tasks of the stack first, then others that may have had some. */
function nodesToAsk(view: ClusterView, scope: StackScope, query: LogQuery): string[] {
  const tasks = view.tasks
    .by("stack", stackKey(scope))
    .filter(({ value }) => query.service === undefined || value.service === query.service)
    .filter(({ value }) => query.task === undefined || value.id === query.task);
  const nodes = new Set(tasks.map(({ value }) => value.node));
  if (query.task !== undefined && nodes.size > 0) return [...nodes];
  for (const { value: node } of view.nodes.all()) {
    if (node.contact === "up" && nodes.size < LOG_NODES_MAX) nodes.add(node.name);
  }
  return [...nodes].slice(0, LOG_NODES_MAX);
}

async function* linesOf(
  batches: AsyncIterable<readonly unknown[]>,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  for await (const batch of batches) {
    yield [Buffer.from(batch.map((line) => `${JSON.stringify(line)}\n`).join(""))];
  }
}

async function* nothing(): AsyncGenerator<readonly Uint8Array[], void, undefined> {}

export const execTask: Handler<"execTask"> = async ({ params, query, signal }, context) => {
  const request = parseAs(ExecRequest, parseJson(query.request), "the exec request");
  const task = runningTask(context, params);
  const agent = await context.sessions.open(
    task.node,
    { environment: {}, ...request, kind: "exec", task: task.id },
    signal,
  );
  return (user) => joinStreams(user, agent);
};

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ProtocolError("invalid_request", "the exec request is no JSON", {}, { cause });
  }
}

function runningTask(
  { state: { view } }: ApiContext,
  params: { readonly project: string; readonly environment: string; readonly task: string },
): Task {
  const [found] = view.tasks.by("id", params.task);
  const task = found?.value;
  if (task === undefined || environmentOf(task) !== environmentOf(params)) {
    throw new ProtocolError("not_found", `there is no task ${params.task}`);
  }
  const [status] = view.statuses.by("task", task.id);
  const state = status?.value.state ?? "assigned";
  if (state === "running" || state === "draining") return task;
  throw new ProtocolError("conflict", `task ${task.id} is not running: it is ${state}`, { state });
}

export const pauseTask: Handler<"pauseTask"> = (request, context) => {
  const { params: scope, body, actor } = request;
  const { reason, force = false } = body;
  const now = context.clock.now();
  return commitDecision(
    context,
    request,
    { route: "pauseTask", matched: (view) => view.tasks.by("id", scope.task)[0] },
    (view) =>
      decidePause(view, {
        ...{ scope, by: actor.name, force, now },
        ...(reason === undefined ? {} : { reason }),
      }),
  );
};

export const resumeTask: Handler<"resumeTask"> = (request, context) => {
  const { params: scope } = request;
  return commitDecision(
    context,
    request,
    { route: "resumeTask", matched: (view) => view.tasks.by("id", scope.task)[0] },
    (view) => decideResumption(view, scope),
  );
};

/** The agent's end: the stream is handed to who asked, until that side is done with it. */
export const openSession: Handler<"openSession"> = ({ params }, { sessions }) =>
  sessions.attach(params.node, params.session);
