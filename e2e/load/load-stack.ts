/** The stack under load: the service, and clients inside its network. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientSettings } from "./client-program.ts";
import { NODE_IMAGE } from "./node-image.ts";

export const STACK = "never";
export const SERVICE = "web";
export const HOST = "never.localhost";
export const SERVICE_PORT = 8080;
export const CONTROL_PORT = 9090;

/** The file asks for this; probes fail within `interval × failure`. */
export const PROBE_INTERVAL_MS = 200;
export const PROBE_FAILURES = 2;

export interface StackOptions {
  readonly version: number;
  readonly copies: number;
  readonly manner: "well" | "naive";
  readonly drainMs: number;
  readonly inside: ClientSettings;
}

/** Files of the programs that run in containers. */
export function programFiles(): Readonly<Record<string, string>> {
  const names = ["server-program", "client-program", "http-clients", "web-socket-client", "tally"];
  const files = names.map((name) => {
    const path = join(import.meta.dirname, `${name}.ts`);
    return [`program/${name}.ts`, readFileSync(path, "utf8")] as const;
  });
  return { ...Object.fromEntries(files), "program/package.json": '{"type":"module"}' };
}

/** Odd versions have a route more: so that every rollout reloads HAProxy, too. */
export function composeText(options: StackOptions): string {
  const { version, copies, manner, drainMs, inside } = options;
  const odd = version % 2 === 1 ? `, { host: odd.localhost, port: ${SERVICE_PORT} }` : "";
  return `services:
  ${SERVICE}:
    image: ${NODE_IMAGE}
    command: ["/node", "/program/server-program.ts"]
    environment: { MANNER: ${manner}, VERSION: "${version}" }
    volumes: ["./program:/program:ro"]
    stop_grace_period: 10s
    deploy:
      replicas: ${copies}
      update_config: { parallelism: 2 }
    x-berth:
      min_healthy: 300ms
      drain: ${drainMs}ms
      routes: [{ host: ${HOST}, port: ${SERVICE_PORT} }${odd}]
      probes:
        ready:
          http: { port: ${SERVICE_PORT}, path: /health }
          interval: ${PROBE_INTERVAL_MS}ms
          failure: ${PROBE_FAILURES}
          timeout: 5s
        live:
          http: { port: ${SERVICE_PORT}, path: /live }
          interval: ${PROBE_INTERVAL_MS}ms
          failure: ${PROBE_FAILURES}
          delay: 10s
          timeout: 5s
  client:
    image: ${NODE_IMAGE}
    command: ["/node", "/program/client-program.ts"]
    environment:
      CLIENT_SETTINGS: '${JSON.stringify(inside)}'
      # Each look-up takes a thread: none may wait for another's.
      UV_THREADPOOL_SIZE: "32"
    volumes: ["./program:/program:ro"]
    # Ready, not only started: whom nobody answers yet refuses, and that is no failure of this test.
    depends_on: { ${SERVICE}: { condition: service_healthy } }
    x-berth: { min_healthy: 300ms }
    expose: ["${CONTROL_PORT}"]
`;
}
