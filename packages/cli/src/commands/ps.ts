/** `berth ps` */

import { formatDuration } from "@berth/base";
import {
  type ApiClient,
  isFinal,
  leavingWords,
  type Of,
  type TaskStatus,
  type TaskView,
  taskName,
} from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import { type CommandDescription, type CommandInput, flagOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Output, table } from "../output/output.ts";
import { type Target, targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "what runs: services of all stacks, or the copies of one",
  arguments: [{ name: "target", summary: "STACK or STACK/SERVICE", required: false }],
  options: [{ flags: "-a, --all", summary: "ended copies, too" }],
  examples: [
    { line: "berth ps", does: "every service of the environment" },
    { line: "berth ps shop", does: "every copy of a stack, with node and state" },
    { line: "berth ps shop/web --all --json", does: "also the ended copies of one service" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const [word] = input.words;
  const api = input.connect();
  if (word === undefined && !flagOption(input, "all")) return listServices(input, api);
  return listCopies(input, api, word === undefined ? undefined : targetOf(input, word));
}

async function listServices(input: CommandInput, api: ApiClient): Promise<number> {
  const { output, signal } = input;
  const stacks = await allPages((after) =>
    api.call("listStacks", { params: input.scope(), query: pageQuery(after), signal }),
  );
  if (output.json) {
    for (const stack of stacks) output.line(JSON.stringify(stack));
    return EXIT.done;
  }
  const rows = stacks.flatMap(({ stack, services }) =>
    services.map((service) => [
      `${stack.stack}/${service.service}`,
      `${service.ready}/${service.wanted}`,
      paintState(output, service.state),
      String(service.release),
      service.image,
      service.reachable.join(" "),
    ]),
  );
  const header = ["SERVICE", "READY", "STATE", "RELEASE", "IMAGE", "REACHABLE AT"];
  if (rows.length === 0) output.line("nothing is deployed here; berth deploy -f compose.yaml");
  else for (const line of table(header, rows)) output.line(line);
  return EXIT.done;
}

async function listCopies(
  input: CommandInput,
  api: ApiClient,
  target: Target | undefined,
): Promise<number> {
  const { output, signal } = input;
  const query = {
    ...(target === undefined ? {} : { stack: target.stack }),
    ...(target?.service === undefined ? {} : { service: target.service }),
    ...(flagOption(input, "all") ? { all: "true" } : {}),
  };
  // A stack that does not exist is an error, not an empty list.
  if (target !== undefined) await api.call("getStack", { params: { ...target }, signal });
  const tasks = await allPages((after) =>
    api.call("listTasks", {
      params: input.scope(),
      query: { ...query, ...pageQuery(after) },
      signal,
    }),
  );
  if (output.json) {
    for (const task of tasks) output.line(JSON.stringify(task));
    return EXIT.done;
  }
  const now = Date.now();
  const header = ["COPY", "STATE", "SINCE", "NODE", "RELEASE", "RESTARTS", "ADDRESS", "TASK"];
  for (const line of table(
    header,
    tasks.map((task) => copyRow(output, task, now)),
  ))
    output.line(line);
  for (const line of tasks.flatMap((task) => noteOf(task, now))) output.line(line);
  return EXIT.done;
}

/** What the row of a copy has no room for: that it leaves, that a person took it out of service. */
function noteOf({ task, status }: Of<typeof TaskView>, now: number): string[] {
  const name = `${task.stack}/${taskName(task)}`;
  const { paused } = task;
  const leaving = status?.leaving;
  if (leaving !== undefined) return [`${name} ${leavingWords(leaving, now)}`];
  if (paused === undefined || hasEnded(status)) return [];
  const why = paused.reason === undefined ? "" : `: ${paused.reason}`;
  return [`${name} is out of service by ${paused.by}${why}; back with: berth resume ${name}`];
}

function hasEnded(status: TaskStatus | undefined): boolean {
  return status !== undefined && isFinal(status.state);
}

function copyRow(output: Output, { task, status }: Of<typeof TaskView>, now: number): string[] {
  const ready = status?.ready === true ? "ready" : undefined;
  const paused = task.paused !== undefined && status?.state === "running" ? "paused" : undefined;
  const state = status?.outcome ?? paused ?? ready ?? status?.state ?? "assigned";
  const pausedAt = paused === undefined ? undefined : task.paused?.at;
  const since =
    status?.exitedAt ?? pausedAt ?? status?.readyAt ?? status?.startedAt ?? task.createdAt;
  return [
    `${task.stack}/${taskName(task)}`,
    paintState(output, state),
    formatDuration(Math.max(0, now - since)),
    task.node,
    String(task.release),
    String(Math.max(0, (status?.attempt ?? 1) - 1)),
    task.attachments[0]?.address ?? "",
    task.id,
  ];
}

const GOOD: ReadonlySet<string> = new Set(["ready", "running", "complete", "healthy"]);
const BAD: ReadonlySet<string> = new Set(["failed", "rejected", "lost", "degraded"]);

function paintState(output: Output, state: string): string {
  if (GOOD.has(state)) return output.paint("green", state);
  return BAD.has(state) ? output.paint("red", state) : output.paint("yellow", state);
}
