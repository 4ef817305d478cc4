/**
 * `x-berth`: what Compose has no word for. Reference: docs/reference/compose.md.
 */

/** How a probe asks. */
export type ProbeAction =
  | {
      readonly kind: "http";
      readonly port: number;
      readonly path: string;
      readonly headers: Readonly<Record<string, string>>;
      /** Accepted status codes, as ranges; default 200-399. */
      readonly status: readonly StatusRange[];
    }
  | { readonly kind: "tcp"; readonly port: number }
  | { readonly kind: "grpc"; readonly port: number; readonly service: string }
  | { readonly kind: "exec"; readonly command: readonly string[] };

/** Inclusive. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** A probe with its rhythm. Absent fields take the platform's defaults. */
export interface Probe {
  readonly action: ProbeAction;
  readonly delayMs?: number;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  /** Successes in a row that turn it good. */
  readonly success?: number;
  /** Failures in a row that turn it bad. */
  readonly failure?: number;
}

export interface Probes {
  /** Until it succeeds once, the others wait. */
  readonly startup?: Probe;
  /** Takes the copy in and out of names and routes. */
  readonly ready?: Probe;
  /** Restarts the container. */
  readonly live?: Probe;
}

/** An HTTP route to the service. */
export interface Route {
  /** `shop.example.com` or `*.example.com`. */
  readonly host: string;
  /** Prefix of the path, `/` by default. */
  readonly path: string;
  /** Container port. */
  readonly port: number;
  /** Serve HTTPS with the platform's certificates. */
  readonly tls?: boolean;
}

/** What a service wishes. */
export interface ServiceWishes {
  readonly probes?: Probes;
  readonly routes?: readonly Route[];
  /** `host`: relative binds are real paths of the node, where the project's policy allows it. */
  readonly bind?: "host";
  /** Longest wait for open connections before the container is stopped. */
  readonly drainMs?: number;
  /** A copy counts as deployed after having been ready for this long. */
  readonly minHealthyMs?: number;
  /** A rollout that makes no progress for this long has failed. */
  readonly progressDeadlineMs?: number;
  /** What the scheduler sets aside for a copy. */
  readonly requests?: { readonly cpuMillis?: number; readonly memoryBytes?: number };
}

/** What a volume wishes. */
export interface VolumeWishes {
  /** `exclusive` (default): one live user at a time. `shared`: several may write. */
  readonly mode?: "exclusive" | "shared";
  /** One volume for each copy of the service. */
  readonly perCopy?: boolean;
}

/** What the stack as a whole wishes. */
export interface StackWishes {
  /** Who schedules the stack. */
  readonly engine?: "native" | "swarm" | "kubernetes";
}
