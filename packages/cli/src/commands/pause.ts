/** `berth pause` and `berth resume` */

import {
  type ApiClient,
  isFinal,
  type Of,
  ProtocolError,
  type TaskView,
  taskName,
} from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { type Target, targetOf } from "../target.ts";

type Copy = Of<typeof TaskView>;

const TARGET = {
  name: "target",
  summary: "STACK/SERVICE-NUMBER; STACK/SERVICE where it has one copy",
  required: true,
} as const;

export const pause: CommandDescription = {
  summary: "take one copy out of service while it runs on",
  details:
    "No name, service address or route leads to it any more; open connections end by themselves and its process goes on, also over restarts of anything. It counts as there but not as ready, and its live probe does not restart it. A new release or berth restart still replaces it. The last ready copy of a service is paused only with --yes.",
  arguments: [TARGET],
  options: [
    { flags: "-r, --reason <text>", summary: "shown in ps, explain and events" },
    { flags: "-y, --yes", summary: "also when no other copy is ready" },
  ],
  examples: [
    { line: "berth pause shop/web-2", does: "no request reaches it; look at it with berth exec" },
    { line: "berth pause shop/web-2 --reason 'heap dump'", does: "says why to the others" },
    { line: "berth resume shop/web-2", does: "back into service once its checks are good" },
  ],
  run: runPause,
};

export const resume: CommandDescription = {
  summary: "put a paused copy back into service",
  details: "It gets requests again as soon as its checks are good.",
  arguments: [TARGET],
  examples: [{ line: "berth resume shop/web-2", does: "ends what berth pause began" }],
  run: runResume,
};

async function runPause(input: CommandInput): Promise<number> {
  const api = input.connect();
  const { task } = await chooseCopy(input, api, ({ task: { paused } }) => paused === undefined);
  const name = `${task.stack}/${taskName(task)}`;
  const reason = textOption(input, "reason");
  const call = (force: boolean) =>
    api.call("pauseTask", {
      params: { ...input.scope(), task: task.id },
      body: { force, ...(reason === undefined ? {} : { reason }) },
      signal: input.signal,
    });
  try {
    await call(flagOption(input, "yes"));
  } catch (error) {
    if (!isLastReady(error) || !process.stdin.isTTY) throw error;
    input.output.note(`${error.message}: without it the service answers nobody`);
    if (!(await confirmed(input, name, "the copy's name", "nothing was changed"))) {
      return EXIT.failed;
    }
    await call(true);
  }
  if (input.output.json) input.output.line(JSON.stringify({ paused: name, task: task.id }));
  else input.output.line(`${name} is out of service and runs on; back with: berth resume ${name}`);
  return EXIT.done;
}

function isLastReady(error: unknown): error is ProtocolError {
  return error instanceof ProtocolError && error.code === "last_ready_copy";
}

async function runResume(input: CommandInput): Promise<number> {
  const api = input.connect();
  const { task } = await chooseCopy(input, api, ({ task: { paused } }) => paused !== undefined);
  const name = `${task.stack}/${taskName(task)}`;
  const params = { ...input.scope(), task: task.id };
  await api.call("resumeTask", { params, signal: input.signal });
  if (input.output.json) input.output.line(JSON.stringify({ resumed: name, task: task.id }));
  else input.output.line(`${name} is back in service once its checks are good`);
  return EXIT.done;
}

/**
 * The copy that is named. While a slot is being replaced it has two: one that is wanted comes before one
 * that is to stop, then `better`, then a ready one.
 */
async function chooseCopy(
  input: CommandInput,
  api: ApiClient,
  better: (copy: Copy) => boolean,
): Promise<Copy> {
  const [word = ""] = input.words;
  const target = targetOf(input, word);
  const numbered = targetOf(input, word, { copies: true });
  if (target.service === undefined) {
    throw new ProtocolError("invalid_request", `"${word}" names a stack; expected STACK/SERVICE-N`);
  }
  const copies = await copiesOf(input, api, target.stack);
  const named = copies.filter(({ task }) => `${task.stack}/${taskName(task)}` === word);
  const ofService = copies.filter(({ task }) => task.service === target.service);
  const slots = new Set(ofService.map(({ task }) => task.slot));
  if (named.length === 0 && slots.size > 1) {
    const names = [...slots].sort((a, b) => a - b).map((slot) => `${word}-${slot}`);
    const message = `${word} has ${slots.size} copies: name one of ${names.join(", ")}`;
    throw new ProtocolError("invalid_request", message, { names });
  }
  const rank = (copy: Copy) =>
    [copy.task.desired === "running", better(copy), copy.status?.ready === true].reduce(
      (sum, holds) => sum * 2 + Number(holds),
      0,
    );
  const [best] = (named.length > 0 ? named : ofService).sort((a, b) => rank(b) - rank(a));
  if (best !== undefined) return best;
  throw noCopy(word, numbered);
}

function noCopy(word: string, { stack }: Target): ProtocolError {
  const message = `${word}: there is no such copy (berth ps ${stack})`;
  return new ProtocolError("not_found", message, { target: word });
}

async function copiesOf(input: CommandInput, api: ApiClient, stack: string): Promise<Copy[]> {
  const all = await allPages((after) =>
    api.call("listTasks", {
      params: input.scope(),
      query: { stack, ...pageQuery(after) },
      signal: input.signal,
    }),
  );
  return all.filter(({ status }) => status === undefined || !isFinal(status.state));
}
