/**
 * What a fake container does: a script instead of a process.
 *
 * A program is plain data; times are milliseconds after the start of the container. `shellProgram` reads
 * the few commands that the contract suite uses on a real engine, so that both run the same tests.
 */

import { assert } from "@berth/base";
import type { ContainerRequest } from "./port.ts";

/** The life of a fake process. An empty program runs for ever, is healthy at once, obeys SIGTERM. */
export interface FakeProgram {
  /** Ends by itself after this time. */
  readonly exitAfterMs?: number;
  /** Code of the end by itself; 0 by default. */
  readonly exitCode?: number;
  /** Crashes only while the task's attempt (label) is at most this; later attempts run for ever. */
  readonly crashAttempts?: number;
  /** Probes succeed from here on; 0 by default, never with `Infinity`. */
  readonly healthyAfterMs?: number;
  /** Probes fail from here on. */
  readonly unhealthyAfterMs?: number;
  /** Only SIGKILL ends it. */
  readonly ignoresTerm?: boolean;
  /** Time from SIGTERM to the end; 0 by default. */
  readonly termDelayMs?: number;
  /** Code of the end by SIGTERM; 143 by default. */
  readonly termExitCode?: number;
  /** The start fails with these words. */
  readonly startError?: string;
  /** Written at the start. */
  readonly output?: readonly FakeOutput[];
}

export interface FakeOutput {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  /** Milliseconds after the start; 0 by default. */
  readonly afterMs?: number;
}

/** Answer of a command that runs inside a fake container. */
export interface FakeCommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr?: string;
  readonly durationMs?: number;
  /** Answers its input, as `cat` does, until the input ends. */
  readonly echoesInput?: boolean;
}

/** The program of `/bin/busybox`-like commands: `sleep`, `true`, `false`, `echo`, `sh -c "exit N"`. */
export function shellProgram(request: ContainerRequest): FakeProgram {
  const command = [...(request.entrypoint ?? []), ...(request.command ?? [])];
  const result = shellCommand(command, request.environment);
  if (result === undefined) {
    return { startError: `exec: "${command[0] ?? ""}": executable file not found in $PATH` };
  }
  const output: FakeOutput[] = [];
  for (const line of linesOf(result.stdout)) output.push({ stream: "stdout", text: line });
  for (const line of linesOf(result.stderr ?? "")) output.push({ stream: "stderr", text: line });
  const exitAfterMs = result.durationMs ?? 0;
  // The first process of a container is deaf to signals that it has no handler for.
  const term = command.some((word) => word.includes("trap "))
    ? { termExitCode: 0 }
    : { ignoresTerm: true };
  return { ...term, exitAfterMs, exitCode: result.exitCode, output };
}

/** Runs one of the known commands; `undefined` when there is no such executable. */
export function shellCommand(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): FakeCommandResult | undefined {
  const [path, ...args] = command;
  switch (path?.replace(/^\/bin\//, "")) {
    case undefined:
      return { exitCode: 0, stdout: "", durationMs: Number.POSITIVE_INFINITY };
    case "true":
      return { exitCode: 0, stdout: "" };
    case "false":
      return { exitCode: 1, stdout: "" };
    case "echo":
      return { exitCode: 0, stdout: `${args.join(" ")}\n` };
    case "cat":
      return cat(args[0], environment);
    case "sleep":
      return { exitCode: 0, stdout: "", durationMs: sleepMs(args[0]) };
    case "sh":
      return script(args[1] ?? "");
    default:
      return undefined;
  }
}

function sleepMs(argument: string | undefined): number {
  const seconds = Number(argument);
  assert(!Number.isNaN(seconds), "the fake's sleep takes seconds");
  return seconds >= 1_000 ? Number.POSITIVE_INFINITY : seconds * 1_000;
}

/** Its input, or the environment of the first process. */
function cat(
  path: string | undefined,
  environment: Readonly<Record<string, string>>,
): FakeCommandResult {
  if (path === undefined) return { exitCode: 0, stdout: "", echoesInput: true };
  if (path !== "/proc/1/environ") return { exitCode: 1, stdout: "", stderr: "no such file\n" };
  const entries = Object.entries(environment).map(([name, value]) => `${name}=${value}\0`);
  return { exitCode: 0, stdout: entries.join("") };
}

/** `sleep N`, `echo words [>&2]` and `exit N`, separated by semicolons. */
function script(text: string): FakeCommandResult {
  let stdout = "";
  let stderr = "";
  let durationMs = 0;
  for (const statement of text.split(";")) {
    const words = statement.trim().split(/\s+/);
    const toStderr = words.at(-1) === ">&2";
    const line = `${words.slice(1, toStderr ? -1 : undefined).join(" ")}\n`;
    if (words[0] === "exit") {
      return { exitCode: Number(words[1] ?? 0), stdout, stderr, durationMs };
    }
    if (words[0] === "sleep") durationMs += sleepMs(words[1]);
    else if (words[0] === "echo" && toStderr) stderr += line;
    else if (words[0] === "echo") stdout += line;
    else if (words[0] !== "trap") {
      return { exitCode: 127, stdout, stderr: `sh: ${words[0]}: not found\n`, durationMs };
    }
  }
  return { exitCode: 0, stdout, stderr, durationMs };
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split(/(?<=\n)/);
}
