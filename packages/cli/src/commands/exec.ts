/** `berth exec` */

import {
  type ApiClient,
  type DialRequest,
  errorOfProblem,
  type FrameStream,
  jsonOfFrame,
  ProtocolError,
  type Task,
  taskName,
} from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import {
  type CommandDescription,
  type CommandInput,
  flagOption,
  listOption,
  textOption,
} from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type Target, targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "run a command in a copy's container",
  details: "The exit code is the command's own. Without a number the first ready copy is taken.",
  arguments: [
    { name: "target", summary: "STACK/SERVICE or STACK/SERVICE-NUMBER", required: true },
    { name: "command", summary: "the command and its words", required: true, variadic: true },
  ],
  options: [
    { flags: "-i, --interactive", summary: "pass standard input on" },
    { flags: "-t, --tty", summary: "give it a terminal" },
    { flags: "-u, --user <user>", summary: "user inside the container" },
    { flags: "-w, --workdir <path>", summary: "folder inside the container" },
    { flags: "-e, --environment <name=value...>", summary: "variables for the command" },
  ],
  passThrough: true,
  examples: [
    { line: "berth exec -it shop/db-1 psql -U app", does: "a terminal in the database" },
    { line: "berth exec shop/web cat /etc/hostname", does: "output and exit code of one command" },
    { line: "berth exec -i shop/db sh < dump.sql", does: "with input from a file" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const [word = "", ...words] = input.words;
  const api = input.connect();
  const task = await chooseTask(input, api, word);
  const tty = flagOption(input, "tty");
  if (tty && !process.stdin.isTTY) {
    throw new ProtocolError("invalid_request", "standard input is no terminal: leave out -t", {});
  }
  const stream = await api.upgrade("execTask", {
    params: { ...input.scope(), task: task.id },
    query: { request: JSON.stringify(requestOf(input, task, words, tty)) },
    signal: input.signal,
  });
  const restore = connectInput(stream, { tty, stdin: flagOption(input, "interactive") });
  try {
    return await passOutput(stream, input);
  } finally {
    restore();
    stream.close();
  }
}

type ExecRequest = Extract<DialRequest["request"], { readonly kind: "exec" }>;

function requestOf(
  input: CommandInput,
  task: Task,
  command: readonly string[],
  tty: boolean,
): ExecRequest {
  const user = textOption(input, "user");
  const workingDir = textOption(input, "workdir");
  const { columns, rows } = process.stdout;
  return {
    kind: "exec",
    task: task.id,
    command,
    tty,
    stdin: flagOption(input, "interactive"),
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    environment: Object.fromEntries(listOption(input, "environment").map(pairOf)),
    ...(tty && columns !== undefined && rows !== undefined ? { columns, rows } : {}),
  };
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new ProtocolError("invalid_request", `"${text}" is not NAME=VALUE`);
}

/** The copy that is named, or the first ready one. */
async function chooseTask(input: CommandInput, api: ApiClient, word: string): Promise<Task> {
  const exact = targetOf(input, word);
  const copy = targetOf(input, word, { copies: true });
  if (exact.service === undefined) {
    throw new ProtocolError("invalid_request", `"${word}" names a stack; expected STACK/SERVICE`);
  }
  const candidates = [...(await tasksOf(input, api, exact)), ...(await tasksOf(input, api, copy))];
  const running = candidates.filter(({ status }) => status?.state === "running");
  const wanted =
    running.find(({ task }) => `${task.stack}/${taskName(task)}` === word) ??
    running.find(({ task, status }) => task.service === exact.service && status?.ready === true) ??
    running.find(({ task }) => task.service === exact.service);
  if (wanted !== undefined) return wanted.task;
  const why = candidates.length === 0 ? "there is no such copy" : "no copy of it runs just now";
  throw new ProtocolError("not_found", `${word}: ${why} (berth ps ${exact.stack})`, {
    target: word,
  });
}

async function tasksOf(input: CommandInput, api: ApiClient, target: Target) {
  const { project, environment, stack, service } = target;
  return allPages((after) =>
    api.call("listTasks", {
      params: { project, environment },
      query: { stack, ...(service === undefined ? {} : { service }), ...pageQuery(after) },
      signal: input.signal,
    }),
  );
}

/** Standard input to the stream; answers what undoes it. */
function connectInput(
  stream: FrameStream,
  options: { readonly tty: boolean; readonly stdin: boolean },
): () => void {
  const { stdin, stdout } = process;
  const onResize = () => {
    const size = Buffer.from(JSON.stringify({ columns: stdout.columns, rows: stdout.rows }));
    stream.send("resize", size).catch(() => {});
  };
  // What cannot be sent any more has ended: the frames say why.
  const onData = (chunk: Buffer) => {
    stdin.pause();
    stream.send("stdin", chunk).then(
      () => stdin.resume(),
      () => {},
    );
  };
  const onEnd = () => void stream.send("end", new Uint8Array()).catch(() => {});
  if (options.tty) {
    stdin.setRawMode(true);
    stdout.on("resize", onResize);
  }
  if (options.stdin) {
    stdin.on("data", onData);
    stdin.once("end", onEnd);
  } else onEnd();
  return () => {
    stdin.off("data", onData);
    stdin.off("end", onEnd);
    stdout.off("resize", onResize);
    if (options.tty) stdin.setRawMode(false);
    stdin.pause();
  };
}

async function passOutput(stream: FrameStream, input: CommandInput): Promise<number> {
  for await (const frame of stream.frames()) {
    switch (frame.kind) {
      case "stdout":
        input.output.bytes(frame.payload);
        break;
      case "stderr":
        process.stderr.write(frame.payload);
        break;
      case "exit":
        return exitCodeIn(jsonOfFrame(frame));
      case "error":
        throw (
          errorOfProblem(jsonOfFrame(frame)) ??
          new ProtocolError("engine_error", "the command could not be run")
        );
      default:
        break;
    }
  }
  throw new ProtocolError("node_unreachable", "the stream ended before the command did", {});
}

function exitCodeIn(value: unknown): number {
  const known = typeof value === "object" && value !== null && "code" in value;
  return known && typeof value.code === "number" ? value.code : EXIT.failed;
}
