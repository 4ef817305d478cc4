/**
 * Assignments for tests and benches: a plain service, with what a case is about written over it.
 */

import type { Assignment, ServiceSpec, Task } from "@berth/protocol";

/** Content of the image that every sample runs. */
export const SAMPLE_IMAGE_ID = `sha256:${"1".repeat(64)}`;

const SPEC: ServiceSpec = {
  image: "busybox",
  pullPolicy: "missing",
  environment: {},
  engine: {},
  limits: {},
  requests: {},
  mounts: [],
  configs: [],
  secrets: [],
  networks: {},
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
    minHealthyMs: 0,
    progressDeadlineMs: 60_000,
    failureAction: "rollback",
  },
  constraints: [],
  spreadOver: [],
  priority: 50,
  stopGraceMs: 1_000,
  drainMs: 1_000,
  log: { maxBytes: 1_048_576, maxFiles: 2 },
};

export interface SampleOptions {
  readonly task?: Partial<Task>;
  readonly spec?: Partial<ServiceSpec>;
  readonly image?: Partial<Assignment["image"]>;
  readonly volumes?: Assignment["volumes"];
  readonly configs?: Assignment["configs"];
  readonly secrets?: Assignment["secrets"];
}

/** An assignment of node `n1`: one copy of service `web` of stack `shop`. */
export function sampleAssignment(id: string, options: SampleOptions = {}): Assignment {
  const task: Task = {
    id,
    project: "default",
    environment: "main",
    stack: "shop",
    service: "web",
    slot: 1,
    release: 1,
    template: "t1",
    restartCount: 0,
    node: "n1",
    createdAt: 0,
    desired: "running",
    attachments: [],
    volumes: [],
    exclusive: false,
    requests: { cpuMillis: 0, memoryBytes: 0 },
    ...options.task,
  };
  return {
    task,
    spec: { ...SPEC, ...options.spec },
    image: { reference: "busybox", imageId: SAMPLE_IMAGE_ID, ...options.image },
    volumes: options.volumes ?? {},
    configs: options.configs ?? {},
    secrets: options.secrets ?? {},
  };
}

/** A sample with an exclusive volume mounted at `/data`. */
export function sampleWithVolume(
  id: string,
  engineName: string,
  options: SampleOptions = {},
): Assignment {
  return sampleAssignment(id, {
    ...options,
    task: {
      exclusive: true,
      volumes: [{ volume: "data", engineName, exclusive: true }],
      ...options.task,
    },
    spec: {
      mounts: [{ kind: "volume", volume: "data", target: "/data", readOnly: false }],
      ...options.spec,
    },
    volumes: { data: { engineName, driverOptions: {}, exclusive: true } },
  });
}
