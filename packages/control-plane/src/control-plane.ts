/**
 * The control plane as one thing with a life: the cluster in memory and the controllers that act on it.
 * The server and the simulation use it alike; it owns no timer, no socket and no file.
 *
 * Design page: docs/design/control-plane.md.
 */

import type { Clock, Driver, Logger, Prng } from "@berth/base";
import {
  FORMAT_LEVEL,
  type FormatStanding,
  keys,
  type ServiceScope,
  type Stack,
  serviceKey,
  stackKey,
} from "@berth/protocol";
import { Reservations } from "@berth/scheduler";
import {
  CertificateController,
  type CertificatePorts,
} from "./certificates/certificate-controller.ts";
import { NodeServing } from "./certificates/node-serving.ts";
import { DeploymentController } from "./controllers/deployment-controller.ts";
import type { ControllerDeps } from "./controllers/deps.ts";
import { EventRecorder } from "./controllers/event-recorder.ts";
import { FenceController } from "./controllers/fence-controller.ts";
import type { FenceHook } from "./controllers/fence-port.ts";
import { GarbageController } from "./controllers/garbage-controller.ts";
import { LeaseController } from "./controllers/lease-controller.ts";
import { ServerSeat } from "./controllers/server-seat.ts";
import { ServiceController } from "./controllers/service-controller.ts";
import { VolumeController } from "./controllers/volume-controller.ts";
import { explainService } from "./explain/explain-service.ts";
import { type PlanInput, planDeployment } from "./explain/plan-deployment.ts";
import { viewStack } from "./explain/stack-view.ts";
import { FormatController } from "./formats/format-controller.ts";
import { guardFormats } from "./formats/format-guard.ts";
import { type FormatQuestion, formatLevel, formatStanding } from "./formats/format-standing.ts";
import { Committer } from "./plan/committer.ts";
import { newIdentifiers } from "./plan/identifiers.ts";
import { InFlight } from "./plan/in-flight.ts";
import { placingOptions } from "./plan/place-starts.ts";
import type { Identifiers } from "./plan/plan-context.ts";
import { StandingCluster } from "./plan/standing-cluster.ts";
import type { ControlPlaneSettings } from "./settings.ts";
import { ClusterState } from "./state/cluster-state.ts";
import { encode } from "./state/decode.ts";
import type { Compare, Store } from "./store/port.ts";

export interface ControlPlaneOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Identifiers come from here: in production seeded by the system's randomness. */
  readonly prng: Prng;
  readonly driver: Driver;
  readonly settings: ControlPlaneSettings;
  /** The outside world of certificates; without, none are issued. */
  readonly certificates?: CertificatePorts;
  /** Makes sure that dead nodes are dead; without, their exclusive copies wait for another word. */
  readonly fenceHook?: FenceHook;
  /** Other servers share the store: who acts is elected. Absent: this one acts, whatever was before. */
  readonly shared?: true;
  /** The machine of this server as a node, by which others know it. */
  readonly serverNode?: string;
  /** The cluster's state has formats that this software cannot read: the server has to end. */
  readonly onTooOld?: (level: number) => void;
}

export class ControlPlane {
  readonly state: ClusterState;
  /** The store as everybody here writes it: with a look at each write for formats that are not due yet. */
  readonly store: Store;
  readonly settings: ControlPlaneSettings;
  readonly ids: Identifiers;
  readonly inFlight = new InFlight();
  /** What nodes serve with, as they said last. */
  readonly serving = new NodeServing();
  readonly #options: ControlPlaneOptions;
  readonly #events: EventRecorder;
  readonly #leases: LeaseController;
  readonly #services: ServiceController;
  readonly #deployments: DeploymentController;
  readonly #volumes: VolumeController;
  readonly #garbage: GarbageController;
  readonly #certificates: CertificateController | undefined;
  readonly #fences: FenceController | undefined;
  readonly #formats: FormatController;
  readonly #seat: ServerSeat | undefined;
  /** Holds while this server leads. Before `start` it acts on nothing. */
  #leadership: readonly Compare[] = [];
  #acts = false;

  constructor(options: ControlPlaneOptions) {
    const { clock, log, prng, driver, settings } = options;
    this.#options = options;
    this.settings = settings;
    this.state = new ClusterState({ store: options.store, driver, log });
    const store = guardFormats(options.store, () => this.#formatQuestion());
    this.store = store;
    this.ids = newIdentifiers(prng, this.state.view);
    const newId = this.ids.identifier;
    const leadership = () => this.#leadership;
    const { state } = this;
    this.#events = new EventRecorder({ store, state, clock, log, driver, newId, leadership });
    const deps: ControllerDeps = {
      store,
      state,
      clock,
      log,
      driver,
      settings,
      ids: this.ids,
      inFlight: this.inFlight,
      standing: new StandingCluster(state, (strategy) => placingOptions(settings, strategy)),
      reservations: new Reservations(),
      committer: new Committer({ store, state, inFlight: this.inFlight }),
      events: this.#events,
      leadership,
    };
    this.#leases = new LeaseController(deps);
    this.#services = new ServiceController(deps);
    this.#deployments = new DeploymentController(deps);
    this.#volumes = new VolumeController(deps);
    this.#garbage = new GarbageController(deps);
    this.#formats = new FormatController(deps, options.serverNode);
    this.#certificates =
      options.certificates &&
      new CertificateController({
        deps,
        ports: options.certificates,
        serving: this.serving,
        prng: prng.fork(),
        clusterId: () => this.clusterId(),
      });
    this.#fences =
      options.fenceHook && new FenceController(deps, options.fenceHook, () => this.clusterId());
    if (options.shared) {
      this.#seat = new ServerSeat({
        store,
        state,
        clock,
        log,
        driver,
        server: this.ids.identifier(),
        ...(options.serverNode === undefined ? {} : { node: options.serverNode }),
        onGain: (conditions) => {
          this.#leadership = conditions;
          this.#act();
        },
        onLoss: () => this.#rest(),
      });
    }
  }

  /** Whether this server runs the controllers. */
  get acts(): boolean {
    return this.#acts;
  }

  /**
   * Follows the store and begins to act: at once when it has the store alone, else when it is elected.
   * Resolves when the state is known.
   */
  async start(): Promise<void> {
    this.state.onChange(() => this.#endIfTooOld());
    await this.state.start();
    await this.#identify();
    if (this.#seat !== undefined) return this.#seat.start();
    await this.#lead();
    this.#act();
  }

  /** Stops acting; resolves when nothing is under way. The store stays open. */
  async stop(): Promise<void> {
    await this.#seat?.stop();
    await this.#rest();
    await this.state.stop();
  }

  /** An agent was heard of: its node is in contact. */
  renewLease(node: string): void {
    if (this.#acts || this.#seat === undefined) this.#leases.renew(node);
    else this.#seat.heard(node);
  }

  /** Whether dead nodes are fenced by a hook. */
  get hasFenceHook(): boolean {
    return this.#fences !== undefined;
  }

  /** A node said what it serves with. */
  noteServing(node: string, serving: Parameters<NodeServing["note"]>[1]): void {
    this.serving.note(node, serving);
    this.#certificates?.wake();
  }

  /** How far the formats of the state are, and who holds them back. */
  formats(): FormatStanding {
    return formatStanding(this.#formatQuestion());
  }

  /** The cluster's own identifier; known after `start`. */
  clusterId(): string {
    return this.state.view.cluster.get(keys.cluster())?.value.id ?? "";
  }

  /** Why a service is, or is not, as it should be. */
  explain(scope: ServiceScope): ReturnType<typeof explainService> {
    const input = {
      view: this.state.view,
      now: this.#options.clock.now(),
      settings: this.settings,
      inFlight: this.inFlight,
      remembered: this.#services.waits.of(serviceKey(scope)) ?? [],
      removal: this.#services.waits.ofStack(stackKey(scope)),
    };
    return explainService(input, scope);
  }

  /** What a deployment would do. Changes nothing. */
  planDeployment(request: PlanInput["request"]): ReturnType<typeof planDeployment> {
    const { state, settings, inFlight } = this;
    return planDeployment({ view: state.view, request, settings, inFlight });
  }

  /** A stack with its services, as listings show it. */
  viewStack(stack: Stack): ReturnType<typeof viewStack> {
    return viewStack(this.state.view, stack, this.#options.clock.now(), this.settings);
  }

  #formatQuestion(): FormatQuestion {
    return { view: this.state.view, own: this.#options.serverNode };
  }

  /** The row of the level is seen before anything that is written by it. */
  #endIfTooOld(): void {
    const level = formatLevel(this.state.view);
    if (level > FORMAT_LEVEL) this.#options.onTooOld?.(level);
  }

  #act(): void {
    this.#acts = true;
    this.#events.start();
    this.#leases.start();
    this.#deployments.start();
    this.#volumes.start();
    this.#services.start();
    this.#garbage.start();
    this.#formats.start();
    this.#certificates?.start();
    this.#fences?.start();
  }

  async #rest(): Promise<void> {
    this.#acts = false;
    await Promise.all([
      this.#services.stop(),
      this.#deployments.stop(),
      this.#volumes.stop(),
      this.#leases.stop(),
      this.#garbage.stop(),
      this.#formats.stop(),
      this.#certificates?.stop(),
      this.#fences?.stop(),
      this.#events.stop(),
    ]);
  }

  /** Gives the cluster its identity at the very first start. */
  async #identify(): Promise<void> {
    const { clock } = this.#options;
    const key = keys.cluster();
    const now = clock.now();
    const value = encode({ id: this.ids.networkId(), createdAt: now });
    // Nobody older has ever read a new cluster's state.
    const format = encode({ level: FORMAT_LEVEL, at: now });
    const absent: Compare = { key, target: "version", op: "=", value: 0 };
    const result = await this.store.txn({
      compare: [absent],
      then: [
        { kind: "put", key, value },
        { kind: "put", key: keys.format(), value: format },
      ],
    });
    await this.state.waitFor(result.revision);
  }

  /**
   * Takes the leadership by force: with one server there is nobody else, and a process that was believed
   * dead cannot write any more, because each of its writes compares this key.
   */
  async #lead(): Promise<void> {
    const { clock, serverNode } = this.#options;
    const key = keys.leader();
    const node = serverNode === undefined ? {} : { node: serverNode };
    const value = encode({ server: this.ids.identifier(), ...node, since: clock.now() });
    const { revision } = await this.store.txn({ compare: [], then: [{ kind: "put", key, value }] });
    this.#leadership = [{ key, target: "modRevision", op: "=", value: revision }];
    await this.state.waitFor(revision);
  }
}
