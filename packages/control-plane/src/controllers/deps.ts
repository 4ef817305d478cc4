/** What every controller works with. One object, made by `ControlPlane`. */

import type { Clock, Driver, Logger } from "@berth/base";
import type { Reservations } from "@berth/scheduler";
import type { Committer } from "../plan/committer.ts";
import type { InFlight } from "../plan/in-flight.ts";
import type { Identifiers } from "../plan/plan-context.ts";
import type { StandingCluster } from "../plan/standing-cluster.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import type { Compare, Store } from "../store/port.ts";
import type { EventRecorder } from "./event-recorder.ts";

export interface ControllerDeps {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  readonly settings: ControlPlaneSettings;
  readonly ids: Identifiers;
  readonly inFlight: InFlight;
  readonly standing: StandingCluster;
  /** In the memory of the leader: who waits ages anew under another one. */
  readonly reservations: Reservations;
  readonly committer: Committer;
  readonly events: EventRecorder;
  /** Conditions under which this server still leads; part of every write of a controller. */
  readonly leadership: () => readonly Compare[];
}
