/** A whole agent over fakes on a manual clock, for tests. */

import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import type { ApplyReport, NodeNetworkModel, PartReport } from "@berth/network";
import { ProtocolError } from "@berth/protocol";
import { startAgent } from "./agent.ts";
import type { AgentSettings } from "./agent-options.ts";
import type { Agent } from "./agent-status.ts";
import { MemoryLogFiles } from "./logs/files.ts";
import type { NetPort } from "./net/net-port.ts";
import type { SocketTable } from "./net/socket-table.ts";
import type { Checker } from "./probes/checker.ts";
import { FakeRuntime } from "./runtime/fake.ts";
import { FakeHost, type FakeHostOptions } from "./runtime/fake-host.ts";
import { fakeImage } from "./runtime/fake-registry.ts";
import type { Table } from "./state/local-db.ts";
import { MemoryDb } from "./state/memory-db.ts";
import { sealerOf } from "./state/seal.ts";
import { ScriptedServer } from "./sync/scripted-server.ts";
import { SAMPLE_IMAGE_ID } from "./task/assignment-sample.ts";

/** A data plane that follows every model at once and counts nothing. */
export class FakeNet implements NetPort {
  readonly models: NodeNetworkModel[] = [];
  isDown = false;
  /** By how much the ingress is behind what it was told. */
  lag = 0;
  /** By address: open connections. */
  readonly open = new Map<string, number>();

  get model(): NodeNetworkModel | undefined {
    return this.models.at(-1);
  }

  async apply(model: NodeNetworkModel): Promise<ApplyReport> {
    await this.#answer();
    this.models.push(model);
    return this.#report();
  }

  async status() {
    await this.#answer();
    return { ...this.#report(), pid: 1, startedAt: 0, boundPorts: [], loops: [] };
  }

  async sessions({ address }: { readonly address: string }) {
    await this.#answer();
    return { sessions: this.open.get(address) ?? 0, queued: 0 };
  }

  async #answer(): Promise<void> {
    await Promise.resolve();
    if (this.isDown) throw new ProtocolError("unavailable", "the net process cannot be reached");
  }

  #report(): ApplyReport {
    const generation = this.model?.generation ?? 0;
    const part: PartReport = { state: "ok", generation, problems: [] };
    const ingress = { ...part, generation: generation - this.lag };
    return { generation, dns: part, ingress, firewall: part };
  }
}

const SETTLE_TURNS = 12;

export class AgentBox {
  readonly clock = new ManualClock();
  readonly server = new ScriptedServer();
  readonly net = new FakeNet();
  /** Names of the servers, as they were told last. */
  servers: readonly string[] = [];
  /** While true, the disk under the database is full; or there is no room for rows of one table. */
  isDiskFull: boolean | Table = false;
  readonly db = new MemoryDb((changes) => {
    const isFull = changes.some(({ table }) => this.isDiskFull === table);
    if (isFull || this.isDiskFull === true)
      throw new ProtocolError("storage_full", "writing the agent's database");
  });
  readonly logFiles = new MemoryLogFiles();
  readonly host: FakeHost;
  /** What checks answer; good by default. */
  check: Checker = async () => ({ isGood: true });
  /** Of every container; nothing: nobody can look. */
  sockets: SocketTable | undefined;
  settings: Partial<AgentSettings> = {};
  underlayAddress = "192.0.2.1";
  agent: Agent | undefined;
  #runtime: FakeRuntime | undefined;
  #driver: Driver | undefined;
  readonly #prng: Prng;

  constructor(seed: number, options: Partial<FakeHostOptions> = {}) {
    this.#prng = new Prng(seed);
    this.host = new FakeHost({ clock: this.clock, prng: this.#prng.fork(), ...options });
    const image = { ...fakeImage({ reference: "busybox" }), imageId: SAMPLE_IMAGE_ID };
    this.host.images.set(image.imageId, image);
  }

  async start(): Promise<Agent> {
    const { clock, server, net, db, logFiles, host, settings } = this;
    const prng = this.#prng.fork();
    this.#runtime = new FakeRuntime(host);
    this.#driver = new Driver({ clock, log: silentLogger, prng });
    const starting = startAgent({
      onServers: (servers) => {
        this.servers = servers.map(({ node }) => node);
      },
      nodeName: "n1",
      dataDir: "/unused",
      runtimeDir: "/unused",
      api: server.client,
      runtime: this.#runtime,
      net,
      clock,
      log: silentLogger,
      prng,
      driver: this.#driver,
      settings: { forwarders: [], ...settings },
      machine: {
        db,
        sealer: sealerOf(Buffer.alloc(32, 7)),
        logFiles,
        check: (request, signal) => this.check(request, signal),
        sockets: async () => this.sockets,
        taskFiles: {
          prepare: async () => [],
          seed: async () => new Uint8Array(),
          remove: async () => {},
        },
        host: {
          bootId: host.bootId,
          bootMs: () => clock.monotonic(),
          disk: async () => ({ sizeBytes: 100e9, freeBytes: 50e9 }),
          devices: async () => ({ devices: [] }),
          pidsMax: async () => 32_768,
          portsTaken: async () => [],
          hasInterface: () => true,
          forwarders: async () => [],
          ranges: async () => [],
          underlay: async ({ port }) => ({ address: this.underlayAddress, port, mtu: 1_500 }),
        },
      },
    });
    let made: Agent | undefined;
    void starting.then((agent) => {
      made = agent;
    });
    await this.until(() => made !== undefined);
    this.agent = await starting;
    return this.agent;
  }

  /** `kill -9` of the agent. */
  kill(): void {
    this.#runtime?.disconnect();
    void this.#driver?.stop();
    this.agent = undefined;
  }

  async until(done: () => boolean, limitMs = 120_000): Promise<boolean> {
    const end = this.clock.monotonic() + limitMs;
    for (;;) {
      for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise(setImmediate);
      if (done()) return true;
      const due = this.clock.nextDue();
      if (due === undefined || due > end) return false;
      this.clock.fireNext();
    }
  }

  async pass(ms: number): Promise<void> {
    const end = this.clock.monotonic() + ms;
    await this.until(() => false, ms);
    if (this.clock.monotonic() < end) this.clock.advance(end - this.clock.monotonic());
  }

  /** Containers whose process runs. */
  get running(): number {
    return [...this.host.containers.values()].filter((container) => container.running).length;
  }
}
