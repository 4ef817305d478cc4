/**
 * The `net` process of a node: follows the model that the agent last gave, and the one on disk until then.
 *
 * Invariants: generations never go back; parts are independent (a part that fails degrades its own report);
 * an answer to `PUT /model` means that every part has followed it or says why not, and that it is on disk: a
 * crash before that leaves the model before, which is what the agent then still goes by. Ends without touching HAProxy or the firewall, so that names are missing
 * for the time of a restart and nothing else.
 *
 * Design page: docs/design/network.md
 */

import { mkdirSync } from "node:fs";
import { type Clock, type Driver, type Logger, sleep } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import { AddressController } from "./addresses/controller.ts";
import { netSocketPath } from "./client.ts";
import { ControlSocket, type StopOptions } from "./control-socket.ts";
import { DnsThread } from "./dns/dns-thread.ts";
import type { LookupQuestion, LookupReport } from "./dns/explain.ts";
import { ThreadPriority } from "./dns/thread-priority.ts";
import { FirewallController } from "./firewall/controller.ts";
import { RulesWatch } from "./firewall/rules-watch.ts";
import { IngressController } from "./ingress/controller.ts";
import { metricsText } from "./metrics.ts";
import { type NodeNetworkModel, serviceKey } from "./model.ts";
import { ModelFile } from "./model-file.ts";
import { type DroppedItem, parseModel } from "./model-parse.ts";
import { NewestTurn } from "./newest-turn.ts";
import { NftSession } from "./nft-session.ts";
import { OverlayController } from "./overlay/controller.ts";
import { spanningNetworks } from "./overlay/wanted.ts";
import type {
  ApplyReport,
  EndpointSessions,
  NetPart,
  NetProblem,
  NetStatus,
  PartReport,
} from "./report.ts";
import { VrrpController } from "./vrrp/controller.ts";

export interface NetOptions {
  /** Folder of this `net` alone; made when missing. Short: sockets in it have paths of at most 97 bytes. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** Folder in memory for what must not reach a disk: keys, hashes. Below `dataDir` when omitted. */
  readonly memoryDir?: string;
  /** 53 unless a test has no right to it. */
  readonly dnsPort?: number;
  /** Program of the thread for DNS: another file when bundled. */
  readonly dnsWorkerUrl?: URL;
  /** `haproxy` and `nft`, found by PATH. */
  readonly haproxyProgram?: string;
  readonly nftProgram?: string;
  /** `keepalived`, likewise; only where there are floating addresses. */
  readonly keepalivedProgram?: string;
}

export interface NetProcess {
  readonly socketPath: string;
  status(): NetStatus;
  /** Idempotent. SIGTERM is `stop({ ingress: false })`: HAProxy goes on serving. */
  stop(options: StopOptions): Promise<void>;
  /** Resolves when stopped, by whomever (also by `POST /stop`). */
  readonly stopped: Promise<void>;
}

/**
 * Starts serving: when this resolves, DNS answers from the stored model and the socket takes a new one.
 * Throws ProtocolError `conflict` when another `net` runs in the same folder.
 */
export async function runNet(options: NetOptions): Promise<NetProcess> {
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 });
  const net = new Net(options);
  await net.start();
  return net;
}

const DEFAULT_DNS_PORT = 53;
const PRIORITY_LOOK_MS = 1_000;
/** A thread that has just begun has not told its number yet. */
const THREAD_START_MS = 200;
/** It remembers each of them, a hundred bytes; an hour's looks, and then it is another. */
const NFT_COMMANDS_MAX = 2_000;
const PENDING: PartReport = { state: "pending", generation: 0, problems: [] };
/** The answer to `POST /stop` must get out before the socket closes. */
const STOP_DELAY_MS = 20;

type Part = NetPart;

class Net implements NetProcess {
  readonly socketPath: string;
  readonly stopped: Promise<void>;
  readonly #options: NetOptions;
  readonly #dnsPort: number;
  readonly #file: ModelFile;
  readonly #dns: DnsThread;
  readonly #ingress: IngressController;
  readonly #firewall: FirewallController;
  readonly #addresses: AddressController;
  readonly #overlay: OverlayController;
  readonly #vrrp: VrrpController;
  readonly #rulesWatch: RulesWatch;
  /** For the tables that outlive this process. */
  readonly #nft: NftSession;
  readonly #socket: ControlSocket;
  readonly #startedAt: number;
  readonly #applied = { dns: 0, firewall: 0 };
  #model: NodeNetworkModel | undefined;
  #savedGeneration: number | undefined;
  #dropped: readonly DroppedItem[] = [];
  readonly #portsTurn = new NewestTurn();
  readonly #addressesTurn = new NewestTurn();
  readonly #overlayTurn = new NewestTurn();
  #stopping: Promise<void> | undefined;
  #resolveStopped: () => void = () => {};

  constructor(options: NetOptions) {
    const { dataDir, log } = options;
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#dnsPort = options.dnsPort ?? DEFAULT_DNS_PORT;
    this.socketPath = netSocketPath(dataDir);
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
    const memoryDir = options.memoryDir ?? `${dataDir}/memory`;
    mkdirSync(memoryDir, { recursive: true, mode: 0o700 });
    const paths = { path: `${dataDir}/model.json`, secretsPath: `${memoryDir}/secrets.json` };
    this.#file = new ModelFile(paths, log);
    this.#dns = new DnsThread({
      log,
      port: this.#dnsPort,
      ...(options.dnsWorkerUrl === undefined ? {} : { workerUrl: options.dnsWorkerUrl }),
    });
    followPriority(this.#dns, options);
    const haproxyProgram = options.haproxyProgram ?? "haproxy";
    this.#ingress = new IngressController({
      ...options,
      haproxyProgram,
      dir: `${dataDir}/haproxy`,
      filesDir: `${memoryDir}/haproxy`,
    });
    const nftProgram = options.nftProgram ?? "nft";
    this.#nft = new NftSession({
      clock: options.clock,
      nftProgram,
      file: `${memoryDir}/change.nft`,
      commandsMax: NFT_COMMANDS_MAX,
    });
    const tables = { ...options, nftProgram, nft: this.#nft };
    this.#firewall = new FirewallController({ ...tables, folder: memoryDir });
    this.#addresses = new AddressController({
      ...tables,
      onUsable: () => void this.#followNamesAgain(),
    });
    this.#overlay = new OverlayController(options);
    const { keepalivedProgram: program } = options;
    this.#vrrp = new VrrpController({
      ...{ clock: options.clock, log, driver: options.driver, dir: `${dataDir}/vrrp` },
      ...(program === undefined ? {} : { program }),
    });
    this.#rulesWatch = new RulesWatch({
      ...options,
      nftProgram,
      onRemoved: () => {
        this.#firewall.look();
        this.#addresses.look();
      },
    });
    this.#socket = new ControlSocket(this.socketPath, {
      apply: (body) => this.#accept(body),
      status: () => this.status(),
      sessions: (endpoint) => this.#sessions(endpoint),
      lookup: (question) => this.#lookup(question),
      routes: () => this.#ingress.routeFigures(),
      metrics: () => this.#metrics(),
      stop: (wanted) => this.#stopSoon(wanted),
    });
  }

  async start(): Promise<void> {
    await this.#socket.claim();
    const stored = this.#file.load();
    if (stored !== undefined) {
      const { model } = stored;
      this.#options.log.info("following the stored model", { generation: model.generation });
      this.#model = model;
      this.#savedGeneration = model.generation;
      this.#dropped = stored.dropped;
      // Names first: everybody on the node waits for them, while HAProxy has gone on by itself.
      await this.#followDns(model);
      void this.#followRest();
    }
    await this.#socket.listen();
  }

  status(): NetStatus {
    const pid = this.#ingress.pid;
    return {
      ...this.#report(),
      pid: process.pid,
      startedAt: this.#startedAt,
      ...(pid === undefined ? {} : { ingressPid: pid }),
      accessLogPath: this.#ingress.accessLogPath,
      boundPorts: this.#ingress.boundPorts(),
      loops: this.#options.driver.statuses().map(({ name, state, failuresInRow, lastError }) => ({
        name,
        state,
        failuresInRow,
        ...(lastError === undefined ? {} : { lastError }),
      })),
    };
  }

  stop(options: StopOptions): Promise<void> {
    this.#stopping ??= this.#stop(options);
    return this.#stopping;
  }

  async #stop(options: StopOptions): Promise<void> {
    await this.#idle();
    await Promise.all([
      this.#rulesWatch.close(),
      this.#dns.close(),
      this.#ingress.close({ stopIngress: options.ingress }),
      this.#firewall.close({ removeTable: options.firewall ?? false }),
      this.#addresses.close({ removeTable: options.firewall ?? false }),
      this.#overlay.close({ remove: options.firewall ?? false }),
      this.#vrrp.close({ stop: options.ingress }),
    ]);
    this.#nft.close();
    // Last: the open socket keeps the process alive (timers do not) until all is done.
    await this.#socket.close();
    this.#resolveStopped();
  }

  #stopSoon(options: StopOptions): void {
    void sleep(this.#options.clock, STOP_DELAY_MS).then(() => this.stop(options));
  }

  /** Takes a model that came over the socket; see `NetClient.apply` for what is refused. */
  async #accept(body: unknown): Promise<ApplyReport> {
    const result = parseModel(body);
    if (!result.ok) throw new ProtocolError("invalid_request", result.reason);
    if (this.#stopping !== undefined) throw new ProtocolError("unavailable", "net is stopping");
    const { model } = result;
    this.#refuseStale(model);
    const isKnown = model.generation === this.#model?.generation;
    // Side by side: whoever waits for a name or a server need not wait for the disk as well.
    const isSaved = isKnown && model.generation === this.#savedGeneration;
    const saved = isSaved ? undefined : this.#save(body, model.generation);
    await (isKnown ? this.#idle() : this.#follow(model, result.dropped));
    await saved;
    return this.#report();
  }

  /** The answer waits for the disk: a crash before it leaves the model that the agent knows to be followed. */
  #save(body: unknown, generation: number): Promise<void> {
    const saved = this.#file.save(body, generation).then(() => {
      this.#savedGeneration = generation;
    });
    // Waited for later: until then its failure is nobody's.
    saved.catch(() => {});
    return saved;
  }

  /** Names at once; what takes longer follows the newest model there is, and no part waits for another. */
  async #follow(model: NodeNetworkModel, dropped: readonly DroppedItem[]): Promise<void> {
    this.#model = model;
    this.#dropped = dropped;
    await Promise.all([this.#followDns(model), this.#followRest()]);
  }

  #refuseStale(model: NodeNetworkModel): void {
    const current = this.#model;
    if (current === undefined) return;
    if (current.cluster.id !== model.cluster.id) {
      const details = { ours: current.cluster.id, theirs: model.cluster.id };
      throw new ProtocolError("foreign_cluster", "the model is another cluster's", details);
    }
    if (model.generation >= current.generation) return;
    const details = { generation: current.generation, received: model.generation };
    throw new ProtocolError("precondition_failed", "a newer model is followed already", details);
  }

  async #followDns(model: NodeNetworkModel): Promise<void> {
    await this.#dns.apply(this.#addresses.usable ? model : withoutServiceAddresses(model));
    this.#applied.dns = Math.max(this.#applied.dns, model.generation);
  }

  async #followNamesAgain(): Promise<void> {
    if (this.#model !== undefined) await this.#followDns(this.#model);
  }

  async #followRest(): Promise<void> {
    const newest = (work: (model: NodeNetworkModel) => Promise<void>) => async () => {
      if (this.#model !== undefined) await work(this.#model);
    };
    await Promise.all([
      this.#portsTurn.run(newest((model) => this.#followPorts(model))),
      this.#addressesTurn.run(newest((model) => this.#addresses.apply(model))),
      this.#overlayTurn.run(newest((model) => this.#followOverlay(model))),
    ]);
  }

  /** Isolation first (a new network's container may start as soon as we answer), then ports, then theirs. */
  async #followPorts(model: NodeNetworkModel): Promise<void> {
    const before = this.#ingress.boundPorts();
    await Promise.all([this.#applyFirewall(model), this.#ingress.apply(model)]);
    if (this.#ingress.boundPorts() !== before) await this.#applyFirewall(model);
    const { floating = [], httpPort } = model.ingress;
    await this.#vrrp.apply({ floating, httpPort });
    this.#applied.firewall = model.generation;
  }

  /** Isolation first: through an interface without it anybody could send into the network. */
  async #followOverlay(model: NodeNetworkModel): Promise<void> {
    if (spanningNetworks(model).length > 0) await this.#applyFirewall(model);
    await this.#overlay.apply(model);
  }

  async #idle(): Promise<void> {
    await Promise.all([
      this.#portsTurn.idle(),
      this.#addressesTurn.idle(),
      this.#overlayTurn.idle(),
    ]);
  }

  #applyFirewall(model: NodeNetworkModel): Promise<void> {
    return this.#firewall.apply({
      clusterId: model.cluster.id,
      networks: model.networks,
      publishedPorts: this.#ingress.boundPorts(),
      hostPolicy: model.hostPolicy,
      dnsPort: this.#dnsPort,
      ...(model.underlay === undefined ? {} : { underlay: model.underlay }),
    });
  }

  async #sessions(endpoint: { address: string; port: number }): Promise<EndpointSessions> {
    return this.#ingress.sessions(endpoint);
  }

  async #lookup(question: LookupQuestion): Promise<LookupReport> {
    const result = await this.#dns.explain(question);
    if (result.ok) return result.report;
    throw new ProtocolError("invalid_request", result.reason, { ...question });
  }

  #report(): ApplyReport {
    return {
      generation: this.#model?.generation ?? 0,
      dns: this.#part("dns", [...this.#dns.problems(), ...this.#leftOut("dns")]),
      ingress: this.#part("ingress", [
        ...this.#ingress.problems(),
        ...this.#vrrp.problems(),
        ...this.#leftOut("ingress"),
      ]),
      firewall: this.#part("firewall", this.#firewall.problems()),
      addresses: this.#part("addresses", this.#addresses.problems()),
      overlay: this.#part("overlay", this.#overlay.problems()),
    };
  }

  /** Routes and ports would have been ingress's, the rest are names and copies. */
  #leftOut(part: "dns" | "ingress"): NetProblem[] {
    return this.#dropped
      .filter(({ path }) => path.startsWith("model.ingress") === (part === "ingress"))
      .map(({ path, reason }) => ({ code: "invalid_item", id: path, detail: reason }));
  }

  /** What the part really follows: a copy may end only when nobody is sent to it any more. */
  #followed(part: Part): number {
    switch (part) {
      case "ingress":
        return this.#ingress.followed;
      case "addresses":
        return this.#addresses.followed;
      case "overlay":
        return this.#overlay.followed;
      default:
        return this.#applied[part];
    }
  }

  #part(part: Part, problems: readonly NetProblem[]): PartReport {
    const generation = this.#followed(part);
    if (generation === 0) return { ...PENDING, problems };
    return { state: problems.length === 0 ? "ok" : "degraded", generation, problems };
  }

  async #metrics(): Promise<string> {
    const services = new Set(this.#model?.endpoints.map(serviceKey));
    return metricsText({
      report: this.#report(),
      dns: await this.#dns.figures(),
      ingress: { ...this.#ingress.figures(), running: this.#ingress.pid !== undefined },
      routes: await this.#ingress.routeFigures(),
      firewall: this.#firewall.figures(),
      addresses: this.#addresses.figures(),
      overlay: this.#overlay.figures(),
      endpoints: this.#model?.endpoints.length ?? 0,
      servicesWithEndpoints: services.size,
      residentBytes: process.memoryUsage.rss(),
    });
  }
}

/** Names answer the copies themselves: the addresses do not work here. */
function withoutServiceAddresses(model: NodeNetworkModel): NodeNetworkModel {
  return {
    ...model,
    services: model.services.map((service) => ({ ...service, endpointMode: "dnsrr" })),
  };
}

/** Names come before what else the machine does, as long as they take little of it. */
function followPriority(dns: DnsThread, { clock, log, driver }: NetOptions): void {
  const priority = new ThreadPriority({ clock, log });
  driver.add({
    name: "dns-priority",
    purpose: "keeps the thread that answers names before everything else while it takes little",
    periodMs: PRIORITY_LOOK_MS,
    run: async () => {
      const { threadId } = dns;
      if (threadId === undefined) return { againMs: THREAD_START_MS };
      await priority.look(threadId);
      return undefined;
    },
  });
}
