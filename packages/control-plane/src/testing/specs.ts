/** Specs for tests: the least that is valid, with what a test cares about put over it. */

import type { NetworkSpec, PinnedSpec, ServiceSpec, VolumeSpec } from "@berth/protocol";

/** A service that runs for ever and is ready at once. */
export function serviceSpec(overrides: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    image: "busybox",
    pullPolicy: "missing",
    environment: {},
    engine: {},
    limits: {},
    requests: {},
    mounts: [],
    configs: [],
    secrets: [],
    networks: { default: { aliases: [] } },
    networkMode: "networks",
    ports: [],
    expose: [],
    routes: [],
    endpointMode: "vip",
    probes: {},
    dependsOn: {},
    restart: { policy: "always" },
    mode: "replicated",
    copies: 1,
    update: {
      order: "start-first",
      parallelism: 1,
      delayMs: 0,
      minHealthyMs: 5_000,
      progressDeadlineMs: 300_000,
      failureAction: "rollback",
    },
    constraints: [],
    spreadOver: [],
    priority: 50,
    stopGraceMs: 10_000,
    drainMs: 0,
    log: { maxBytes: 10_485_760, maxFiles: 3 },
    ...overrides,
  };
}

export const NETWORK: NetworkSpec = { internal: false, labels: {} };
export const EXCLUSIVE_VOLUME: VolumeSpec = {
  mode: "exclusive",
  perCopy: false,
  driverOptions: {},
  labels: {},
};

/** A stack with a default network. */
export function stackSpec(
  services: Readonly<Record<string, ServiceSpec>>,
  overrides: Partial<Omit<PinnedSpec, "services">> = {},
): PinnedSpec {
  return { services, networks: { default: NETWORK }, volumes: {}, configs: {}, ...overrides };
}

/** Writes to an exclusive volume of the stack. */
export function writes(volume: string): ServiceSpec["mounts"] {
  return [{ kind: "volume", volume, target: `/${volume}`, readOnly: false }];
}

/** The rules of services that must stop first. */
export function stopFirst(overrides: Partial<ServiceSpec["update"]> = {}): ServiceSpec["update"] {
  return { ...serviceSpec().update, order: "stop-first", ...overrides };
}
