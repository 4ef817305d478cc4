/**
 * The agent's end of streams that somebody asked the server for: a command in a container, logs, figures.
 *
 * The server cannot reach agents; it asks for a stream over the watch and the agent dials back. A session
 * ends with its stream; what goes wrong travels as an error frame, since nobody else would see it.
 */

import { type Clock, type Logger, SECOND_MS, sleep } from "@berth/base";
import {
  type ApiClient,
  asProtocolError,
  type DialRequest,
  FRAME_BYTES_MAX,
  type FrameKind,
  type FrameStream,
  jsonOfFrame,
  type NetworkCheckStep,
  type NetworkCheckTarget,
  ProtocolError,
  problemOf,
} from "@berth/protocol";
import type { RouteReader } from "../net/route-reader.ts";
import type { ContainerState, ExecRequest, ExecStream, Runtime } from "../runtime/port.ts";
import type { LogsReader } from "./logs-port.ts";
import type { VolumeTransfers } from "./volume-transfers.ts";

/** Streams at once: each holds two sockets and buffers. */
export const SESSIONS_MAX = 128;
/** Between figures of a statistics stream. */
const STATS_PERIOD_MS = 2 * SECOND_MS;

export interface SessionsOptions {
  readonly api: Pick<ApiClient, "upgrade">;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly runtime: Pick<Runtime, "exec" | "stats" | "saveImage">;
  readonly volumes: Pick<VolumeTransfers, "read" | "restore">;
  readonly logs: LogsReader;
  readonly routes: RouteReader;
  readonly checkNetwork: (target: NetworkCheckTarget) => Promise<readonly NetworkCheckStep[]>;
  readonly containerOf: (task: string) => ContainerState | undefined;
}

type RequestOf<Kind extends DialRequest["request"]["kind"]> = Extract<
  DialRequest["request"],
  { readonly kind: Kind }
>;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #running = new Map<string, AbortController>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#running.size;
  }

  /** Opens the stream and serves it until it ends. Never rejects. */
  async dial({ session, request }: DialRequest): Promise<void> {
    const { api, node, log } = this.#options;
    if (this.#running.has(session)) return;
    const abort = new AbortController();
    this.#running.set(session, abort);
    try {
      const options = { params: { node, session }, signal: abort.signal };
      const stream = await api.upgrade("openSession", options);
      try {
        if (this.#running.size > SESSIONS_MAX) throw tooMany();
        await this.#serve(stream, request, abort);
      } catch (error) {
        await sendProblem(stream, error);
      } finally {
        stream.close();
      }
    } catch (error) {
      log.warn("a session could not be opened", { session, error });
    } finally {
      abort.abort(SESSION_OVER);
      this.#running.delete(session);
    }
  }

  /** Ends every session. */
  stop(): void {
    for (const abort of this.#running.values()) abort.abort(SESSION_OVER);
  }

  async #serve(
    stream: FrameStream,
    request: DialRequest["request"],
    abort: AbortController,
  ): Promise<void> {
    switch (request.kind) {
      case "exec":
        return await this.#exec(stream, request, abort.signal);
      case "logs": {
        void endWith(stream, abort);
        const { signal } = abort;
        for await (const line of this.#options.logs.read(request, signal)) {
          await stream.send("data", payload(line));
        }
        // Without it the reader could not tell the last line from a lost connection.
        await stream.send("end", new Uint8Array());
        return;
      }
      case "routes":
        await stream.send("data", payload(await this.#options.routes.list(request, abort.signal)));
        return await stream.send("end", new Uint8Array());
      case "network-check":
        await stream.send("data", payload(await this.#options.checkNetwork(request.target)));
        return await stream.send("end", new Uint8Array());
      case "access-log": {
        void endWith(stream, abort);
        for await (const line of this.#options.routes.log(request, abort.signal)) {
          await stream.send("data", Buffer.from(line));
        }
        return await stream.send("end", new Uint8Array());
      }
      case "volume": {
        void endWith(stream, abort);
        const { engineName, live } = request;
        const content = await this.#options.volumes.read(engineName, { live }, abort.signal);
        for await (const chunk of content) await sendBytes(stream, "data", chunk);
        return await stream.send("end", new Uint8Array());
      }
      case "restore-volume": {
        const { kind: _kind, ...volume } = request;
        const made = await this.#options.volumes.restore(volume, dataOf(stream), abort.signal);
        await stream.send("data", payload(made));
        return await stream.send("end", new Uint8Array());
      }
      case "image": {
        void endWith(stream, abort);
        for await (const chunk of await this.#options.runtime.saveImage(
          request.imageId,
          abort.signal,
        )) {
          await sendBytes(stream, "data", chunk);
        }
        return await stream.send("end", new Uint8Array());
      }
      case "stats":
        void endWith(stream, abort);
        return await this.#stats(stream, request, abort.signal);
    }
  }

  async #exec(stream: FrameStream, request: RequestOf<"exec">, signal: AbortSignal): Promise<void> {
    const container = this.#options.containerOf(request.task);
    if (container?.phase !== "running") {
      const details = { task: request.task };
      throw new ProtocolError("conflict", "the task has no running container", details);
    }
    const { kind: _kind, task: _task, ...wanted } = request;
    const exec = await this.#options.runtime.exec(container.id, wanted as ExecRequest, signal);
    try {
      void takeInput(stream, exec);
      for await (const { stream: kind, bytes } of exec.output())
        await sendBytes(stream, kind, bytes);
      await stream.send("exit", payload({ code: await exec.exitCode() }));
    } finally {
      exec.close();
    }
  }

  async #stats(
    stream: FrameStream,
    request: RequestOf<"stats">,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, runtime, containerOf } = this.#options;
    for (;;) {
      const ids = new Map<string, string>();
      for (const task of request.tasks) {
        const container = containerOf(task);
        if (container?.phase === "running") ids.set(container.id, task);
      }
      for (const figures of await runtime.stats([...ids.keys()])) {
        const task = ids.get(figures.containerId);
        await stream.send("data", payload({ ...figures, task, at: clock.now() }));
      }
      await sleep(clock, STATS_PERIOD_MS, signal);
    }
  }
}

const SESSION_OVER = new Error("the session is over");

function tooMany(): ProtocolError {
  const details = { limit: "sessions", maximum: SESSIONS_MAX };
  return new ProtocolError("limit_exceeded", "too many streams on this node", details);
}

/** Ends the session when the other side goes; it has nothing to say in streams of one direction. */
async function endWith(stream: FrameStream, abort: AbortController): Promise<void> {
  try {
    for await (const _frame of stream.frames());
  } catch {
    // A broken stream ends the session like a closed one.
  }
  abort.abort(SESSION_OVER);
}

/** The bytes of `data` frames until the `end`. */
async function* dataOf(stream: FrameStream): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { kind, payload: bytes } of stream.frames()) {
    if (kind === "end") return;
    if (kind === "data") yield bytes;
  }
  throw new ProtocolError("unavailable", "the archive's sender has gone");
}

async function takeInput(stream: FrameStream, exec: ExecStream): Promise<void> {
  try {
    for await (const frame of stream.frames()) {
      if (frame.kind === "stdin") await exec.write(frame.payload);
      else if (frame.kind === "end") exec.endInput();
      else if (frame.kind === "resize") {
        const size = jsonOfFrame(frame) as { columns?: unknown; rows?: unknown } | undefined;
        const { columns, rows } = size ?? {};
        if (typeof columns === "number" && typeof rows === "number") {
          await exec.resize(columns, rows);
        }
      }
    }
  } catch {
    // Whoever asked has gone: so does the command's input.
  }
  exec.close();
}

async function sendBytes(stream: FrameStream, kind: FrameKind, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += FRAME_BYTES_MAX) {
    await stream.send(kind, bytes.subarray(at, at + FRAME_BYTES_MAX));
  }
}

async function sendProblem(stream: FrameStream, error: unknown): Promise<void> {
  if (error === SESSION_OVER) return;
  try {
    await stream.send("error", payload(problemOf(asProtocolError(error))));
  } catch {
    // Nobody is there any more to be told.
  }
}

function payload(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
