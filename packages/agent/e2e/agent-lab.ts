/**
 * An agent on this machine's Engine: real database, files, sockets and clock; a scripted server and a data
 * plane that only takes notes. Everything is named for the run and removed after it.
 */

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Driver, lineLogger, Prng, silentLogger, sleep, systemClock } from "@berth/base";
import type {
  Assignment,
  Frame,
  FrameKind,
  FrameStream,
  Network,
  TaskStatus,
} from "@berth/protocol";
import { startAgent } from "../src/agent.ts";
import { FakeNet } from "../src/agent-box.ts";
import type { Agent } from "../src/agent-status.ts";
import { Channel } from "../src/runtime/channel.ts";
import { type DockerRuntime, dockerRuntime } from "../src/runtime/docker.ts";
import type { ContainerState, ImageInfo } from "../src/runtime/port.ts";
import { ScriptedServer } from "../src/sync/scripted-server.ts";
import { type SampleOptions, sampleAssignment } from "../src/task/assignment-sample.ts";
import type { BoundaryHook } from "../src/task/task-ports.ts";
import { buildBusybox, removeAll } from "./runtime-lab.ts";

const WAIT_MS = 30_000;

export class AgentLab {
  readonly server = new ScriptedServer();
  readonly net = new FakeNet();
  readonly runtime: DockerRuntime;
  readonly image: ImageInfo;
  readonly network: Network;
  readonly directory: string;
  readonly #agents: Agent[] = [];

  private constructor(runtime: DockerRuntime, image: ImageInfo, directory: string, number: number) {
    this.runtime = runtime;
    this.image = image;
    this.directory = directory;
    const id = (process.pid * 100 + number).toString(16).padStart(8, "0").slice(-8);
    const scope = { project: "default", environment: "main", stack: "shop", name: "default" };
    // A run that was killed leaves its network: ranges differ from run to run.
    const range = `10.${224 + ((process.pid >>> 8) & 15)}.${(process.pid + number) & 255}`;
    this.network = {
      ...scope,
      id,
      subnet: `${range}.0/24`,
      gateway: `${range}.1`,
      internal: false,
      createdAt: 0,
    };
    this.server.cluster = labCluster(number);
    this.server.addNetwork(this.network);
  }

  static async open(number: number): Promise<AgentLab> {
    const directory = await mkdtemp(join(tmpdir(), "berth-agent-"));
    const direct = { folder: join(directory, "starts"), log: silentLogger };
    const runtime = dockerRuntime({ direct });
    const image = await buildBusybox(runtime, labCluster(number));
    return new AgentLab(runtime, image, directory, number);
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.stop();
    await removeAll(this.runtime, this.server.cluster);
    await this.runtime.removeImage(this.image.imageId);
    this.runtime.close();
    // The agent's folder in memory is a mount of its own; where it could not be made there is none.
    await promisify(execFile)("umount", [join(this.directory, "run", "files")]).catch(() => {});
    await rm(this.directory, { recursive: true, force: true });
  }

  /** A new life of the agent on the same data. */
  async start(onBoundary: BoundaryHook = () => {}): Promise<Agent> {
    const clock = systemClock;
    const isLoud = process.env["BERTH_TEST_LOG"] !== undefined;
    const log = isLoud
      ? lineLogger({ write: (line) => process.stderr.write(`${line}\n`), now: clock.now })
      : silentLogger;
    const prng = new Prng(1);
    const agent = await startAgent({
      nodeName: "n1",
      dataDir: join(this.directory, "data"),
      runtimeDir: join(this.directory, "run"),
      api: this.server.client,
      runtime: this.runtime,
      net: this.net,
      clock,
      log,
      prng,
      driver: new Driver({ clock, log, prng }),
      onBoundary,
    });
    this.#agents.push(agent);
    return agent;
  }

  async stop(): Promise<void> {
    await this.#agents.pop()?.stop();
  }

  /** A task of the lab's image and network, at the address that ends with `last`. */
  assignment(id: string, last: number, options: SampleOptions = {}): Assignment {
    const address = this.network.gateway.replace(/\.1$/, `.${last}`);
    const octets = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
    const mac = `02:42:${octets.join(":")}`;
    return sampleAssignment(id, {
      ...options,
      task: { attachments: [{ networkId: this.network.id, address, mac }], ...options.task },
      image: { reference: this.image.reference, imageId: this.image.imageId },
    });
  }

  /** Waits for a status; answers how long it took, in milliseconds. */
  async until(task: string, holds: (status: TaskStatus) => boolean): Promise<number> {
    const begun = performance.now();
    for (;;) {
      const status = this.server.statuses.get(task);
      if (status !== undefined && holds(status)) return performance.now() - begun;
      if (performance.now() - begun > WAIT_MS) {
        throw new Error(`${task} got no further than ${JSON.stringify(status)}`);
      }
      await sleep(systemClock, 5);
    }
  }

  containers(): Promise<readonly ContainerState[]> {
    return this.runtime.listContainers(this.server.cluster);
  }

  /** Opens a session as the server would; answers the frames that the agent sends. */
  dial(session: string, request: Parameters<ScriptedServer["dial"]>[0]["request"]): FrameTrap {
    const trap = new FrameTrap();
    this.server.sessions.set(session, trap);
    this.server.dial({ session, request });
    return trap;
  }
}

function labCluster(number: number): string {
  return `ag${number}p${process.pid}`;
}

/** The server's end of a session, in memory. */
export class FrameTrap implements FrameStream {
  readonly sent: { readonly kind: FrameKind; readonly text: string }[] = [];
  readonly #closed = Promise.withResolvers<void>();
  readonly #input = new Channel<Frame>({ limit: 100, overflow: () => new Error("full") });

  frames(): AsyncIterable<Frame> {
    return this.#input;
  }

  /** What the one who asked types. */
  type(kind: FrameKind, text: string): void {
    this.#input.push({ kind, payload: Buffer.from(text) });
  }

  async send(kind: FrameKind, payload: Uint8Array): Promise<void> {
    this.sent.push({ kind, text: Buffer.from(payload).toString() });
  }

  close(): void {
    this.#input.end();
    this.#closed.resolve();
  }

  /** Text of all frames of a kind, after the end. */
  async text(kind: FrameKind): Promise<string> {
    await this.#closed.promise;
    return this.sent
      .filter((frame) => frame.kind === kind)
      .map(({ text }) => text)
      .join("");
  }
}
