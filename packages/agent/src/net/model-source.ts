/** The model of this node from what the agent holds: the present, each time that it is asked. */

import type { Assignment, DeclaredService, FloatingPart, Underlay } from "@berth/protocol";
import type { AgentSettings } from "../agent-options.ts";
import type { AgentState } from "../state/agent-state.ts";
import type { Containers } from "../task/containers.ts";
import { isAlive } from "../task/step-input.ts";
import type { ServedCertificates } from "./node-certificates.ts";
import { type ModelContent, nodeNetworkModel } from "./node-network-model.ts";

/** HAProxy's bound for connections of copies that vanished; the agent drains long before. */
const DRAIN_TIMEOUT_MS = 30_000;

export interface ModelSources {
  readonly state: AgentState;
  readonly containers: Containers;
  readonly settings: AgentSettings;
  readonly certificates: () => ServedCertificates;
  readonly usersOf: (assignment: Assignment, secret: string) => string | undefined;
  readonly usersAtDoor: (service: DeclaredService, secret: string) => string | undefined;
  readonly cluster: () => string;
  /** The host's resolvers, unless the settings name others. */
  readonly forwarders: () => readonly string[];
  /** Where other nodes reach this one; nothing while it is not known. */
  readonly underlay: () => Underlay | undefined;
  readonly node: string;
  /** Names of the host's interfaces as they are now; nothing where all are taken to be there. */
  readonly interfaces: () => ReadonlySet<string> | undefined;
}

export function modelOfNode(sources: ModelSources): ModelContent {
  const { state, containers, settings, cluster, forwarders, certificates, usersOf } = sources;
  const underlay = sources.underlay();
  const content = nodeNetworkModel({
    cluster: cluster(),
    told: state.told.values(),
    records: state.records,
    networks: state.networks,
    services: [...state.services.values()],
    neighbors: state.neighbors.values(),
    ...(underlay === undefined || state.peers.size === 0
      ? {}
      : { overlay: overlaySource(sources, underlay) }),
    isAlive: ({ containerId }) => isAlive(containers.get(containerId ?? "")),
    ingress: {
      httpPort: settings.ingressHttpPort,
      ...(settings.ingressHttpsPort === undefined ? {} : { httpsPort: settings.ingressHttpsPort }),
      ...(settings.trustedProxies === undefined ? {} : { trustedProxies: settings.trustedProxies }),
      ...(settings.proxyProtocolFrom === undefined
        ? {}
        : { proxyProtocolFrom: settings.proxyProtocolFrom }),
      ...floatingOf(state.server.floating, underlay),
      bindAddress: settings.ingressBindAddress,
      httpRoutes: [],
      tcpPorts: [],
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
    },
    certificates: certificates(),
    usersOf,
    usersAtDoor: sources.usersAtDoor,
    domain: settings.domain,
    hostPolicy: settings.hostPolicy,
    forwarders: settings.forwarders ?? forwarders(),
  });
  return settings.hostDns === undefined ? content : { ...content, hostDns: settings.hostDns };
}

/** Without an address of its own the node cannot tell the others that it is there. */
function floatingOf(parts: readonly FloatingPart[] = [], underlay: Underlay | undefined) {
  if (parts.length === 0 || underlay === undefined) return {};
  return { floating: parts.map((part) => ({ ...part, source: underlay.address })) };
}

/** Looked at once a model: with many networks a look for each would take longer than the model. */
function overlaySource({ state, node, interfaces }: ModelSources, underlay: Underlay) {
  const names = interfaces();
  const hasBridge = (name: string) => names?.has(name) ?? true;
  return { underlay, node, hasBridge, peers: [...state.peers.values()] };
}
