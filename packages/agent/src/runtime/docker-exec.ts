/**
 * Commands inside a container: create, start on an upgraded connection, exit code at the end.
 *
 * The engine has no call that ends a command. A probe that takes too long would leave a process behind each
 * time, so its process is killed on the host, after a look that it is the container's indeed.
 */

import { readFile } from "node:fs/promises";
import type { Duplex } from "node:stream";
import type { Clock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { type EngineClient, segment } from "./docker-client.ts";
import { flagAt, numberAt, textAt } from "./docker-json.ts";
import { framesOf, type OutputPiece } from "./docker-stream.ts";
import type { ExecRequest, ExecStream, InsideOptions } from "./port.ts";

/** Output of `runInside` that is kept: enough for a message. */
const OUTPUT_BYTES_MAX = 4_096;
/** The engine may know the code a moment after the output's end; it is asked this often at most. */
const EXIT_LOOKS_MAX = 50;
const EXIT_LOOK_MS = 20;

/** Starts a command and gives its streams. */
export async function exec(
  client: EngineClient,
  clock: Clock,
  container: string,
  request: ExecRequest & { readonly signal?: AbortSignal | undefined },
): Promise<ExecStream> {
  const id = await createExec(client, container, request);
  const socket = await client.upgrade({
    method: "POST",
    path: `/exec/${id}/start`,
    json: { Detach: false, Tty: request.tty },
    context: `run ${request.command[0]} in container ${container}`,
    signal: request.signal,
  });
  const stream = new DockerExecStream(client, clock, { id, socket, tty: request.tty });
  const { columns, rows } = request;
  if (request.tty && columns !== undefined && rows !== undefined) {
    await stream.resize(columns, rows);
  }
  return stream;
}

/** Runs a command to its end; kills it when it takes longer than `timeoutMs`. */
export async function runInside(
  client: EngineClient,
  clock: Clock,
  target: { readonly container: string; readonly command: readonly string[] },
  options: InsideOptions,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const { container, command } = target;
  const { timeoutMs, signal, ...how } = options;
  const abort = new AbortController();
  const onAbort = () => abort.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const cancel = clock.setTimer(timeoutMs, () => abort.abort(tookTooLong(target, timeoutMs)));
  const request = { ...how, command, tty: false, stdin: false };
  let id: string | undefined;
  try {
    signal?.throwIfAborted();
    id = await createExec(client, container, { ...request, signal: abort.signal });
    const socket = await client.upgrade({
      method: "POST",
      path: `/exec/${id}/start`,
      json: { Detach: false, Tty: false },
      context: `run ${command[0]} in container ${container}`,
      signal: abort.signal,
    });
    const output = await collect(framesOf(socket));
    return { exitCode: await exitCodeOf(client, clock, id), output };
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    if (id !== undefined) await killCommand(client, id, container);
    throw abort.signal.reason;
  } finally {
    cancel();
    signal?.removeEventListener("abort", onAbort);
  }
}

class DockerExecStream implements ExecStream {
  readonly #client: EngineClient;
  readonly #clock: Clock;
  readonly #id: string;
  readonly #socket: Duplex;
  readonly #tty: boolean;

  constructor(
    client: EngineClient,
    clock: Clock,
    opened: { readonly id: string; readonly socket: Duplex; readonly tty: boolean },
  ) {
    this.#client = client;
    this.#clock = clock;
    this.#id = opened.id;
    this.#socket = opened.socket;
    this.#tty = opened.tty;
    // Whoever reads the output learns of it there; without a reader it is not the process's end.
    this.#socket.on("error", () => {});
  }

  output(): AsyncIterable<OutputPiece> {
    return this.#tty ? rawOutput(this.#socket) : framesOf(this.#socket);
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  endInput(): void {
    this.#socket.end();
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#client.call(
      {
        method: "POST",
        path: `/exec/${this.#id}/resize`,
        query: { w: columns, h: rows },
        context: "resize a terminal",
      },
      // It has ended, or has not quite begun: the next resize tells it.
      [404, 409, 500],
    );
  }

  exitCode(): Promise<number> {
    return exitCodeOf(this.#client, this.#clock, this.#id);
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function createExec(
  client: EngineClient,
  container: string,
  request: ExecRequest & { readonly signal?: AbortSignal | undefined },
): Promise<string> {
  const body = await client.call({
    method: "POST",
    path: `/containers/${segment(container)}/exec`,
    json: {
      AttachStdin: request.stdin,
      AttachStdout: true,
      AttachStderr: true,
      Tty: request.tty,
      Cmd: request.command,
      User: request.user,
      Privileged: request.privileged ?? false,
      WorkingDir: request.workingDir,
      Env: Object.entries(request.environment ?? {}).map(([name, value]) => `${name}=${value}`),
    },
    context: `run ${request.command[0]} in container ${container}`,
    signal: request.signal,
  });
  return textAt(body, "Id") ?? "";
}

/** Asks until the engine says that the command has ended. */
async function exitCodeOf(client: EngineClient, clock: Clock, id: string): Promise<number> {
  for (let look = 0; look < EXIT_LOOKS_MAX; look++) {
    const context = "look at a command's end";
    const body = await client.call({ method: "GET", path: `/exec/${id}/json`, context });
    const exitCode = numberAt(body, "ExitCode");
    if (!flagAt(body, "Running") && exitCode !== undefined) return exitCode;
    await new Promise<void>((resolve) => {
      clock.setTimer(EXIT_LOOK_MS, resolve);
    });
  }
  const waitedMs = EXIT_LOOKS_MAX * EXIT_LOOK_MS;
  throw new ProtocolError("timed_out", "the command's output has ended, the command has not", {
    waitedMs,
  });
}

async function* rawOutput(socket: AsyncIterable<Uint8Array>): AsyncGenerator<OutputPiece> {
  for await (const bytes of socket) yield { stream: "stdout", bytes };
}

/** The first bytes of the output; the rest is read and dropped, so that the command is not held up. */
async function collect(pieces: AsyncIterable<OutputPiece>): Promise<string> {
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const { bytes } of pieces) {
    if (size < OUTPUT_BYTES_MAX) kept.push(bytes.subarray(0, OUTPUT_BYTES_MAX - size));
    size += bytes.length;
  }
  return Buffer.concat(kept).toString();
}

/** Ends a command's process on the host, if this process may see it and it is the container's. */
async function killCommand(client: EngineClient, id: string, container: string): Promise<void> {
  const context = "look at a command's process";
  try {
    const body = await client.call({ method: "GET", path: `/exec/${id}/json`, context });
    const pid = numberAt(body, "Pid") ?? 0;
    const containerId = textAt(body, "ContainerID") ?? container;
    if (pid <= 1 || !flagAt(body, "Running")) return;
    const groups = await readFile(`/proc/${pid}/cgroup`, "utf8");
    if (groups.includes(containerId)) process.kill(pid, "SIGKILL");
  } catch {
    // Gone already, another machine's engine, or not allowed: the command ends with its container.
  }
}

function tookTooLong(
  target: { readonly container: string; readonly command: readonly string[] },
  timeoutMs: number,
): ProtocolError {
  return new ProtocolError(
    "timed_out",
    `${target.command[0]} in container ${target.container} took longer than ${timeoutMs} ms`,
    { timeoutMs },
  );
}
