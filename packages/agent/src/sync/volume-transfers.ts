/**
 * Whole volumes of this node: read for somebody else, received from another node, removed.
 *
 * A volume that a task holds, or that a living container mounts alone, is neither read (unless that is asked for)
 * nor removed. A volume is received under a name that nothing else has: what lies there is an earlier try, and goes
 * first. What arrives is compared with the sender's checksum.
 * Design page: docs/design/volumes.md
 */

import { type Clock, formatBytes, SECOND_MS, sleep } from "@berth/base";
import {
  type ApiClient,
  asProtocolError,
  type Operation,
  type OperationInput,
  ProtocolError,
} from "@berth/protocol";
import {
  type SealedContent,
  sealedArchive,
  unsealedArchive,
} from "@berth/protocol/client/sealed-archive";
import type { Runtime, VolumeRequest } from "../runtime/port.ts";
import type { AgentState } from "../state/agent-state.ts";
import { LABEL_EXCLUSIVE } from "../state/volume-locks.ts";
import type { Containers } from "../task/containers.ts";

/** Tries of one copy: an agent or server that is started again is back within their pauses. */
const TRIES_MAX = 8;
const PAUSE_MS = 3 * SECOND_MS;
/** What another try may mend. */
const PASSING: ReadonlySet<string> = new Set([
  "unavailable",
  "node_unreachable",
  "too_many_requests",
  "timed_out",
  // Its agent is just removing what used it.
  "still_in_use",
]);

export interface VolumeTransfersOptions {
  readonly api: Pick<ApiClient, "download">;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly runtime: Pick<Runtime, "readVolume" | "writeVolume" | "ensureVolume" | "removeVolume">;
  readonly state: Pick<AgentState, "locks" | "forgetSeeded" | "noteSeeded" | "server">;
  readonly containers: Pick<Containers, "all">;
}

type NewVolume = Omit<VolumeRequest, "cluster">;

type ReceiveInput = Extract<OperationInput, { readonly kind: "receive-volume" }>;

export class VolumeTransfers {
  readonly #options: VolumeTransfersOptions;

  constructor(options: VolumeTransfersOptions) {
    this.#options = options;
  }

  /** The volume's archive, with its seal. */
  async read(
    engineName: string,
    { live }: { readonly live: boolean },
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    if (!live) this.#requireUnused(engineName);
    return sealedArchive(await this.#options.runtime.readVolume(engineName, signal));
  }

  /** Makes the volume of a `receive-volume` operation, with the content that the server hands on. */
  async receive(
    operation: Operation & { readonly input: ReceiveInput },
    say: (line: string) => void,
    signal: AbortSignal,
  ): Promise<SealedContent> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#receiveOnce(operation, say, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (tries >= TRIES_MAX || !PASSING.has(asProtocolError(error).code)) throw error;
        say(`try ${tries} failed: ${asProtocolError(error).message}`);
        await sleep(this.#options.clock, PAUSE_MS, signal);
      }
    }
  }

  async remove(engineName: string, signal: AbortSignal): Promise<void> {
    const { state, runtime } = this.#options;
    this.#requireUnused(engineName);
    await runtime.removeVolume(engineName, signal);
    await state.forgetSeeded(engineName);
  }

  async #receiveOnce(
    { id, project, environment, stack, input }: Operation & { readonly input: ReceiveInput },
    say: (line: string) => void,
    signal: AbortSignal,
  ): Promise<SealedContent> {
    const { engineName, driver, driverOptions } = input;
    const labels = { ...input.labels, "berth.stack": `${project}/${environment}/${stack}` };
    const volume = { engineName, driverOptions, labels };
    const options = { params: { node: this.#options.nodeName, operation: id }, signal };
    const open = () => this.#options.api.download("getVolumeContent", options);
    return await this.#fill(
      driver === undefined ? volume : { ...volume, driver },
      open,
      say,
      signal,
    );
  }

  /** Makes a volume from an archive that somebody sends. */
  restore(
    volume: NewVolume,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<SealedContent> {
    return this.#fill(
      volume,
      async () => archive,
      () => {},
      signal,
    );
  }

  async #fill(
    volume: NewVolume,
    open: () => Promise<AsyncIterable<Uint8Array>>,
    say: (line: string) => void,
    signal: AbortSignal,
  ): Promise<SealedContent> {
    const { runtime, state } = this.#options;
    const { engineName } = volume;
    await this.remove(engineName, signal);
    await runtime.ensureVolume({ ...volume, cluster: state.server.cluster ?? "" }, signal);
    let content: SealedContent | undefined;
    const archive = unsealedArchive(counted(await open(), say), (end) => {
      content = end;
    });
    await runtime.writeVolume(engineName, archive, signal);
    if (content === undefined) {
      const message = `volume ${engineName} was taken for whole before it was: it is read again`;
      throw new ProtocolError("unavailable", message, { engineName });
    }
    // Its content is what it is: a seed of the stack file would be put into it otherwise.
    await state.noteSeeded(engineName);
    return content;
  }

  #requireUnused(engineName: string): void {
    const { state, containers } = this.#options;
    const holder = state.locks.all().get(engineName);
    const user = [...containers.all()].find((container) =>
      (container.labels[LABEL_EXCLUSIVE] ?? "").split(",").includes(engineName),
    );
    if (holder === undefined && user === undefined) return;
    const details = { engineName, usedBy: holder ?? user?.name };
    throw new ProtocolError("still_in_use", "the volume is used on its node", details);
  }
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  say: (line: string) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  for await (const chunk of bytes) {
    done += chunk.length;
    say(`${formatBytes(done)} copied`);
    yield chunk;
  }
}
