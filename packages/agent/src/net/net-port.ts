/** The node's data plane as the agent drives it; `NetClient` of @berth/network implements it. */

import type {
  ApplyReport,
  EndpointSessions,
  NetStatus,
  NodeNetworkModel,
  RouteFigures,
} from "@berth/network";

/**
 * Failures are `ProtocolError`s: `precondition_failed` with `details.generation` when a newer model is
 * there, `unavailable` and `timed_out` when the process does not answer.
 */
export interface NetPort {
  /** Resolves when names, ingress and firewall follow the model, or say why not. */
  apply(model: NodeNetworkModel, signal?: AbortSignal): Promise<ApplyReport>;
  status(signal?: AbortSignal): Promise<NetStatus>;
  sessions(
    endpoint: { readonly address: string; readonly port: number },
    signal?: AbortSignal,
  ): Promise<EndpointSessions>;
  /** Figures of routes and ports; a simulated data plane has none. */
  routes?(signal?: AbortSignal): Promise<readonly RouteFigures[]>;
}
