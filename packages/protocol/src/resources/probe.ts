/** Probes: how the agent finds out whether a container has started, is ready, is alive. */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });

/** What is asked. `exec` runs in the container: code 0 is success. */
export const ProbeCheck = Type.Union([
  Type.Object({
    kind: Type.Literal("http"),
    port: Port,
    path: Type.String({ maxLength: 2_048 }),
    /** Sent as they are; `Host` included. */
    headers: Type.Optional(Type.Record(Type.String(), Type.String())),
    /** Accepted status codes; 200 to 399 by default. */
    statusMin: Type.Optional(Type.Integer({ minimum: 100, maximum: 599 })),
    statusMax: Type.Optional(Type.Integer({ minimum: 100, maximum: 599 })),
  }),
  Type.Object({ kind: Type.Literal("tcp"), port: Port }),
  /** gRPC health checking protocol (grpc.health.v1.Health/Check). */
  Type.Object({ kind: Type.Literal("grpc"), port: Port, service: Type.Optional(Type.String()) }),
  /** argv; no shell unless the argv names one. */
  Type.Object({ kind: Type.Literal("exec"), command: Type.Array(Type.String(), { minItems: 1 }) }),
]);
export type ProbeCheck = Of<typeof ProbeCheck>;

/** A check with its rhythm. All times in milliseconds. */
export const Probe = Type.Object({
  check: ProbeCheck,
  /** Failures within this time after the start do not count (Compose `start_period`). Default 0. */
  startPeriodMs: Type.Number({ minimum: 0 }),
  /** Between checks during the start period. Default 500 (Compose says 5 s; ready sooner is better). */
  startIntervalMs: Type.Number({ minimum: 10 }),
  /** Between checks. Default 5,000 for probes of ours, 30,000 for a Compose `healthcheck`. */
  intervalMs: Type.Number({ minimum: 10 }),
  /** A check that takes longer has failed. Default 2,000; 30,000 for a Compose `healthcheck`. */
  timeoutMs: Type.Number({ minimum: 1 }),
  /** Successes in a row that make it good. Default 1. */
  successThreshold: Type.Integer({ minimum: 1 }),
  /** Failures in a row that make it bad. Default 3. */
  failureThreshold: Type.Integer({ minimum: 1 }),
});
export type Probe = Of<typeof Probe>;

export const Probes = Type.Object({
  /** Until it succeeds the other two are not asked. */
  startup: Type.Optional(Probe),
  /** Gates endpoints and rollouts, never restarts. */
  ready: Type.Optional(Probe),
  /** Restarts the container when it turns bad. */
  live: Type.Optional(Probe),
});
export type Probes = Of<typeof Probes>;
