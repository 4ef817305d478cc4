/**
 * One node's agent: everything put together, over ports only, so that a simulation runs several of them in
 * one process on a virtual clock.
 *
 * Before the cluster is known (first contact ever) nothing is looked for and nothing runs; from then on
 * the node lives by its local database, with or without a server. Stopping the agent stops no container.
 * Design page: docs/design/agent.md
 */

import type { Assignment, TaskState } from "@berth/protocol";
import {
  type AgentOptions,
  type AgentSettings,
  CPUS_UNKNOWN,
  PULLS_MAX,
  SETTINGS_DEFAULT,
  STARTS_PER_CPU,
  STOPS_MAX,
} from "./agent-options.ts";
import { type AgentParts, openParts } from "./agent-parts.ts";
import type { Agent, AgentStatus } from "./agent-status.ts";
import { conditionsOf } from "./conditions.ts";
import { DiskKeeper } from "./disk-keeper.ts";
import { addHousekeeping } from "./housekeeping.ts";
import { Isolation } from "./isolation.ts";
import { connectionsOf } from "./net/container-sockets.ts";
import { IngressPart } from "./net/ingress-part.ts";
import { modelOfNode } from "./net/model-source.ts";
import { NetLink } from "./net/net-link.ts";
import { NetSupervisor } from "./net/net-supervisor.ts";
import { checkNetwork, namesAsked } from "./net/network-check.ts";
import { NodeCertificates } from "./net/node-certificates.ts";
import { NodeNetworks } from "./net/node-networks.ts";
import { ownPeer } from "./net/overlay-model.ts";
import { routeReader } from "./net/route-reader.ts";
import { RouteUsers } from "./net/route-users.ts";
import { UnderlayWatch } from "./net/underlay-watch.ts";
import { NodeStatusMaker } from "./node-status.ts";
import { Prober } from "./probes/prober.ts";
import type { ContainerState } from "./runtime/port.ts";
import { stopTasks, stopTold } from "./stop-tasks.ts";
import { DirectoryIntake } from "./sync/directory-intake.ts";
import { imageResolver } from "./sync/image-resolver.ts";
import { NodeReporter } from "./sync/node-reporter.ts";
import { Operations } from "./sync/operations.ts";
import { ServerLink } from "./sync/server-link.ts";
import { Sessions } from "./sync/sessions.ts";
import { StatusReporter } from "./sync/status-reporter.ts";
import { ToldIntake } from "./sync/told-intake.ts";
import { VolumeTransfers } from "./sync/volume-transfers.ts";
import { Containers } from "./task/containers.ts";
import { EngineWatch } from "./task/engine-watch.ts";
import { HostStop } from "./task/host-stop.ts";
import { LiveTurns } from "./task/live-turns.ts";
import { TaskRoster } from "./task/roster.ts";
import { Slots } from "./task/slots.ts";
import { statusOf } from "./task/status.ts";
import { isAlive } from "./task/step-input.ts";
import { taskLogs } from "./task/task-logs.ts";

/** Starts the agent. Throws `conflict` when another one uses the data directory. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const parts = await openParts(options);
  const cpus = await options.runtime.info().then(
    ({ cpuMillis }) => Math.max(1, Math.round(cpuMillis / 1_000)),
    () => CPUS_UNKNOWN,
  );
  return new RunningAgent(options, parts, cpus);
}

class RunningAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #settings: AgentSettings;
  readonly #parts: AgentParts;
  readonly #containers = new Containers();
  readonly #roster: TaskRoster;
  readonly #net: NetLink;
  readonly #networks: NodeNetworks;
  readonly #underlay: UnderlayWatch;
  readonly #certificates: NodeCertificates;
  readonly #prober: Prober;
  readonly #intake: ToldIntake;
  readonly #statuses: StatusReporter;
  readonly #node: NodeReporter;
  readonly #isolation: Isolation;
  readonly #link: ServerLink;
  readonly #nodeStatus: NodeStatusMaker;
  readonly #volumes: VolumeTransfers;
  readonly #operations: Operations;
  readonly #sessions: Sessions;
  readonly #disk: DiskKeeper;
  readonly #stops = new Slots(STOPS_MAX);
  #forwarders: readonly string[] = [];
  #isWatching = false;
  #isListed = false;
  #isUp = false;
  readonly #ingress: IngressPart;
  #contactProblem: string | undefined = "no contact yet";
  #engineProblem: string | undefined;

  constructor(options: AgentOptions, parts: AgentParts, cpus: number) {
    this.#options = options;
    this.#parts = parts;
    this.#settings = { ...SETTINGS_DEFAULT, ...options.settings };
    this.#net = this.#makeNet();
    this.#networks = this.#makeNetworks();
    this.#underlay = new UnderlayWatch({
      driver: options.driver,
      settings: this.#settings.underlay,
      find: parts.host.underlay,
      isOwnInterface: (name) => this.#networks.isOwn(name),
      onChanged: () => {
        this.#node.changed();
        this.#net.changed();
      },
    });
    this.#certificates = this.#makeCertificates();
    this.#ingress = new IngressPart({
      ...{ state: parts.state, node: options.nodeName },
      ...{ networks: this.#networks, certificates: this.#certificates, net: this.#net },
    });
    this.#prober = new Prober({
      clock: options.clock,
      driver: options.driver,
      check: parts.check,
      assignmentOf: (task) => this.#assignmentOf(task),
    });
    this.#statuses = this.#makeStatuses();
    this.#isolation = this.#makeIsolation();
    this.#roster = this.#makeRoster(cpus);
    this.#disk = this.#makeDisk();
    this.#volumes = new VolumeTransfers({ ...options, ...parts, containers: this.#containers });
    this.#operations = this.#makeOperations();
    this.#sessions = this.#makeSessions();
    this.#intake = this.#makeIntake();
    this.#nodeStatus = this.#makeNodeStatus();
    this.#node = this.#makeNode();
    this.#addLoops();
    if (parts.state.server.cluster !== undefined) this.#watchEngine();
    this.#link = this.#makeLink();
  }

  async stop(): Promise<void> {
    this.#sessions.stop();
    this.#operations.stop();
    await this.#options.driver.stop();
    await this.#parts.logCapture.close();
    await this.#parts.db.close();
  }

  stopTasks(untilMs: number): Promise<number> {
    return stopTasks(this.#roster, this.#options.clock, untilMs);
  }

  status(): AgentStatus {
    const { state } = this.#parts;
    const tasks: Partial<Record<TaskState, number>> = {};
    for (const record of state.records.values()) {
      tasks[record.state] = (tasks[record.state] ?? 0) + 1;
    }
    return {
      node: this.#options.nodeName,
      cluster: state.server.cluster,
      contact: this.#isUp,
      contactProblem: this.#contactProblem,
      engineProblem: this.#engineProblem,
      netProblems: this.#net.problems(),
      tasks,
      waits: Object.fromEntries(this.#roster.waits()),
      locks: Object.fromEntries(state.locks.all()),
      unreported: this.#statuses.waiting,
      sessions: this.#sessions.count,
      loops: this.#options.driver.statuses(),
    };
  }

  #cluster(): string {
    return this.#parts.state.server.cluster ?? "";
  }

  #assignmentOf(task: string): Assignment | undefined {
    return this.#parts.state.told.get(task)?.assignment;
  }

  #containerOf(task: string): ContainerState | undefined {
    return this.#containers.of(task).find((container) => isAlive(container));
  }

  #makeNet(): NetLink {
    const { net, clock, driver, runtime, nodeName } = this.#options;
    const { state, sockets, secrets } = this.#parts;
    const containers = this.#containers;
    const onChange = () => this.#net.changed();
    const users = new RouteUsers({ driver, secrets, state, onChange });
    const sources = {
      ...{ state, containers, settings: this.#settings, usersOf: users.of, node: nodeName },
      usersAtDoor: users.atDoor,
      cluster: () => this.#cluster(),
      forwarders: () => this.#forwarders,
      underlay: () => this.#underlay.found,
      interfaces: () => this.#parts.host.interfaces?.(),
      certificates: () => this.#certificates.served(),
    };
    return new NetLink({
      ...{ net, clock, driver, isKnown: () => this.#isListed },
      ...connectionsOf({ containers, runtime, sockets, state }),
      spans: (networkId) => ownPeer(state.peers, networkId, nodeName) !== undefined,
      model: () => modelOfNode(sources),
    });
  }

  #makeCertificates(): NodeCertificates {
    const { api, nodeName: node, driver, log } = this.#options;
    const { db, sealer } = this.#parts;
    return new NodeCertificates({
      ...{ api, node, db, sealer, driver, log },
      isJoined: () => this.#isUp,
      onChanged: () => this.#net.changed(),
      followed: (signal) => this.#net.followed(signal),
    });
  }

  #makeNetworks(): NodeNetworks {
    const { runtime, driver, nodeName: node } = this.#options;
    const { mtu } = this.#settings;
    return new NodeNetworks({
      ...{ runtime, driver, node, state: this.#parts.state },
      cluster: () => this.#cluster(),
      isKnown: () => this.#isListed && this.#intake.isTrusted,
      hasBridge: (name) => this.#parts.host.hasInterface(name),
      onMade: () => this.#net.changed(),
      ...(mtu === undefined ? {} : { mtu }),
    });
  }

  #makeStatuses(): StatusReporter {
    const { api, nodeName: node, clock, driver, log } = this.#options;
    const { state, host } = this.#parts;
    return new StatusReporter({
      ...{ api, node, clock, driver, bootMs: () => host.bootMs() },
      onHeard: (sentMs, sentAt) => this.#node.heard(sentMs, sentAt),
      onFloating: (parts) => void this.#ingress.take(parts),
      isJoined: () => this.#isUp,
      onStop: (tasks) => {
        // A store whose list is not trusted in full may not end what it does not know.
        if (this.#intake.isTrusted) void stopTold({ state, roster: this.#roster, log }, tasks);
      },
    });
  }

  #makeRoster(cpus: number): TaskRoster {
    const { runtime, clock, prng, log, driver, nodeName: node, onBoundary } = this.#options;
    const { state, host, taskFiles, logCapture, logStore } = this.#parts;
    return new TaskRoster(
      {
        cluster: () => this.#cluster(),
        ...{ node, clock, log, runtime, state },
        bootId: host.bootId,
        prng: prng.fork(),
        containers: this.#containers,
        files: taskFiles,
        net: this.#net,
        probes: this.#prober,
        logs: taskLogs(clock, logCapture, logStore),
        networks: this.#networks,
        images: this.#parts.ledger,
        fetcher: this.#parts.fetcher,
        credentials: this.#parts.credentials,
        starts: new Slots(this.#settings.startsMax ?? cpus * STARTS_PER_CPU),
        pulls: new Slots(PULLS_MAX),
        stops: this.#stops,
        liveTurns: new LiveTurns(),
        hostStop: new HostStop(),
        isIsolated: (task) => this.#isolation.isIsolated(task),
        onBoundary: onBoundary ?? (() => {}),
        report: (record, progress) =>
          this.#statuses.report(statusOf(record, node, clock.now(), progress)),
      },
      driver,
    );
  }

  #makeDisk(): DiskKeeper {
    const { runtime, dataDir, clock, driver, log } = this.#options;
    const { db, state, ledger, logStore, host } = this.#parts;
    return new DiskKeeper({
      ...{ runtime, db, state, ledger, logStore, host, dataDir, clock, driver, log },
      cluster: () => this.#cluster(),
      isKnown: () => this.#isListed && this.#intake.isTrusted,
    });
  }

  #makeOperations(): Operations {
    const { api, nodeName: node, clock, driver, log, runtime } = this.#options;
    const { fetcher, ledger } = this.#parts;
    return new Operations({
      ...{ fetcher, ledger, api, node, clock, driver, log },
      volumes: this.#volumes,
      portsTaken: (wishes) => this.#parts.host.portsTaken(wishes),
      resolver: imageResolver({
        ...{ runtime, clock, parts: this.#parts, cluster: () => this.#cluster() },
        refusesBuilds: () => this.#disk.refusesBuilds,
      }),
    });
  }

  #makeSessions(): Sessions {
    const { api, nodeName: node, clock, log, runtime, net } = this.#options;
    const { logStore, state } = this.#parts;
    const httpsPort = this.#settings.ingressHttpsPort;
    return new Sessions({
      ...{ api, node, clock, log, runtime, volumes: this.#volumes },
      routes: routeReader({ net, clock, told: state.told, records: state.records, httpsPort }),
      logs: { read: ({ kind: _kind, ...query }, signal) => logStore.read(query, signal) },
      checkNetwork: (target) => checkNetwork(target, namesAsked(this.#settings)),
      containerOf: (task) => this.#containerOf(task),
    });
  }

  #makeIntake(): ToldIntake {
    const { driver, log } = this.#options;
    const { state, host } = this.#parts;
    return new ToldIntake({
      ...{ state, driver, log },
      cluster: () => this.#cluster(),
      bootId: host.bootId,
      confirmedEpoch: () => this.#settings.confirmedEpoch,
      onTasks: (tasks) => {
        void this.#disk.note(tasks);
        this.#isolation.wake();
        if (!this.#isListed) return;
        this.#roster.follow(tasks);
        this.#certificates.wake();
        // Ports, routes and aliases may be others for the same containers.
        this.#net.changed();
      },
      onNetworks: () => {
        this.#roster.wakeAll();
        this.#net.changed();
      },
      onOperations: (put, gone) => this.#operations.follow(put, gone),
      onSynced: (trust) => this.#synced(trust.kind !== "foreign"),
    });
  }

  #makeNodeStatus(): NodeStatusMaker {
    const { nodeName, runtime, dataDir, clock, driver } = this.#options;
    return new NodeStatusMaker({
      ...{ node: nodeName, runtime, dataDir, clock, driver, host: this.#parts.host },
      ...{ settings: this.#settings, containers: this.#containers },
      isOwnInterface: (name) => this.#networks.isOwn(name),
      underlay: () => this.#underlay.found,
      floating: () => this.#parts.state.server.floating ?? [],
      conditions: () =>
        conditionsOf({
          engineProblem: this.#engineProblem,
          memoryProblem: this.#parts.memoryProblem,
          netProblems: this.#net.problems(),
          underlayMissing: this.#underlay.missing,
          strays: this.#intake.strays,
        }),
    });
  }

  #makeNode(): NodeReporter {
    const { api, nodeName: node, clock, driver } = this.#options;
    return new NodeReporter({
      ...{ api, node, clock, driver },
      pinned: () => this.#parts.state.server.cluster,
      status: (signal) => this.#nodeStatus.make(signal),
      isJoined: () => this.#isUp,
      bootMs: () => this.#parts.host.bootMs(),
      onHeard: (sentMs) => this.#isolation.heard(sentMs),
      onFloating: (parts) => void this.#ingress.take(parts),
    });
  }

  #makeIsolation(): Isolation {
    const { driver, log, runtime } = this.#options;
    const { state, host } = this.#parts;
    return new Isolation({
      ...{ state, host, driver, log, runtime, containers: this.#containers },
      onChange: ({ relist }) => {
        if (relist) this.#link.relist();
        this.#roster.reconsiderAll();
      },
    });
  }

  #makeLink(): ServerLink {
    const { api, nodeName: node, driver, log, prng, onServers = () => {} } = this.#options;
    const { state } = this.#parts;
    return new ServerLink({
      ...{ api, node, driver, log, onServers, intake: this.#intake },
      prng: prng.fork(),
      directory: new DirectoryIntake({
        ...{ state, driver },
        isTrusted: () => this.#intake.isTrusted,
        onChanged: ({ copiesOnly }) => {
          this.#net.changed();
          if (!copiesOnly) this.#ingress.follow();
        },
      }),
      join: (signal) => this.#node.report(signal),
      pinned: () => state.server.cluster,
      pin: async (cluster) => {
        await state.putServer({ ...state.server, cluster });
        this.#watchEngine();
      },
      onDial: (dial) => void this.#sessions.dial(dial),
      onCertificate: () => this.#certificates.wake(),
      protocol: () => this.#node.protocol,
      onContact: (isUp, problem) => this.#contact(isUp, problem),
    });
  }

  #addLoops(): void {
    const { driver, netProcess, net, clock, log, runtime } = this.#options;
    const { logStore, host, state } = this.#parts;
    addHousekeeping({
      driver,
      strays: {
        runtime,
        state,
        containers: this.#containers,
        stops: this.#stops,
        log,
        listIsTrusted: () => this.#intake.isTrusted,
        onRemoved: () => this.#roster.wakeWaiting("lock"),
      },
      logStore,
      host,
      onForwarders: (forwarders) => {
        this.#forwarders = forwarders;
        this.#net.changed();
      },
    });
    if (netProcess === undefined) return;
    const onUp = () => this.#net.changed();
    new NetSupervisor({ ...netProcess, net, clock, driver, log, onUp });
  }

  /** The cluster is known: containers of ours can be told from others. */
  #watchEngine(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    const { runtime, log, driver } = this.#options;
    const watch = new EngineWatch(
      {
        runtime,
        log,
        containers: this.#containers,
        roster: this.#roster,
        cluster: () => this.#cluster(),
        onReachable: (isReachable, message) => this.#engineReachable(isReachable, message),
      },
      driver,
    );
    void watch.listed().then(() => {
      this.#isListed = true;
      const { state } = this.#parts;
      this.#roster.follow(state.told.keys());
      this.#net.changed();
    });
  }

  #engineReachable(isReachable: boolean, message: string | undefined): void {
    const problem = isReachable ? undefined : (message ?? "no answer");
    if (problem === this.#engineProblem) return;
    this.#engineProblem = problem;
    // A new engine may have lost its bridges.
    this.#networks.forget();
    this.#nodeStatus.forget();
    this.#node.changed();
    if (isReachable) this.#roster.wakeAll();
  }

  #contact(isUp: boolean, problem: string | undefined): void {
    this.#isUp = isUp;
    this.#contactProblem = problem;
    if (!isUp) return;
    this.#statuses.wake();
    this.#certificates.contact();
    this.#node.joined();
    this.#operations.resend();
  }

  /** A list was taken in: what every task's status is, the server may not know. */
  #synced(isOurs: boolean): void {
    const { state } = this.#parts;
    const { nodeName: node, clock } = this.#options;
    for (const record of state.records.values()) {
      this.#statuses.report(statusOf(record, node, clock.now()));
    }
    if (isOurs) this.#isolation.listed();
    this.#roster.wakeWaiting("contact");
    this.#networks.released();
    this.#node.changed();
  }
}
