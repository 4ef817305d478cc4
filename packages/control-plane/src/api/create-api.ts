/**
 * Puts the API together: hub, sessions, audit record, figures and the way of every call. Used by the
 * server and, with other ports, by the simulation.
 */

import type { Clock, Driver, Logger } from "@berth/base";
import type { Blobs } from "../blobs/port.ts";
import { CLOSED_ENTRANCE, type ClusterEntrance } from "../joining/entrance.ts";
import type { SessionRelay } from "../servers/session-relay.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import type { Store } from "../store/port.ts";
import { ApiMetrics } from "./api-metrics.ts";
import { AuditLog } from "./audit-log.ts";
import { Authenticator } from "./authenticator.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { ApiContext, Controls } from "./handler.ts";
import { handlers } from "./handler-table.ts";
import type { SecretBox } from "./secret-box.ts";
import { SessionHub } from "./session-hub.ts";
import { Transfers } from "./transfers.ts";
import { WatchHub } from "./watch-hub.ts";

export interface ApiOptions {
  readonly store: Store;
  /** Follows `store`; started by the caller. */
  readonly state: ClusterState;
  readonly blobs: Blobs;
  /** Those on this very server, where `blobs` also asks others. */
  readonly ownBlobs?: Blobs;
  /** The way to nodes that are connected to other servers, where there are any. */
  readonly relay?: SessionRelay;
  readonly control: Controls;
  readonly settings: ControlPlaneSettings;
  readonly secrets: SecretBox;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly log: Logger;
  /** 6 to 40 of `a-z0-9`, never the same twice. */
  readonly newId: () => string;
  readonly version: string;
  /** How hosts join; without it none can. */
  readonly entrance?: ClusterEntrance;
  /** Where figures go; the caller may have added its own. */
  readonly metrics?: ApiMetrics;
}

export interface Api {
  readonly dispatcher: Dispatcher;
  readonly watches: WatchHub;
  readonly sessions: SessionHub;
  readonly metrics: ApiMetrics;
  /** Ends streams and sessions, so that connections can end. */
  close(): void;
  /** Writes what waits of the audit record. Call it when no call is under way any more. */
  flush(): Promise<void>;
}

export function createApi(options: ApiOptions): Api {
  const { store, state, driver, clock, newId } = options;
  const metrics = options.metrics ?? new ApiMetrics();
  const watches = new WatchHub({ state, store, clock });
  const sessions = new SessionHub({
    ...{ watches, clock, newId },
    ...(options.relay === undefined ? {} : { relay: options.relay }),
  });
  const audit = new AuditLog({ store, clock, driver, newId });
  const { settings } = options;
  metrics.watchParts({ state, driver, watches, sessions, audit, settings });
  const context: ApiContext = {
    store,
    state,
    blobs: options.blobs,
    ownBlobs: options.ownBlobs ?? options.blobs,
    control: options.control,
    settings,
    watches,
    sessions,
    transfers: new Transfers(),
    secrets: options.secrets,
    clock,
    log: options.log,
    newId,
    version: options.version,
    entrance: options.entrance ?? CLOSED_ENTRANCE,
    renderMetrics: () => metrics.registry.render(),
    loopStatuses: () => driver.statuses(),
  };
  const authenticator = new Authenticator({ known: state.view, clock });
  const dispatcher = new Dispatcher({ context, handlers, authenticator, audit, metrics });
  return {
    dispatcher,
    watches,
    sessions,
    metrics,
    close: () => {
      watches.close();
      sessions.close();
    },
    flush: () => audit.flush(),
  };
}
