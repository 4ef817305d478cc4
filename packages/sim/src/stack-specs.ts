/**
 * Stack files as users of the simulation write them: a shape each (what a stack is made of), with numbers
 * and rules drawn anew for every deployment, and now and then a release that cannot work.
 *
 * What a container does is said in its environment (`PROGRAM`), which the fake engine reads: so a change
 * of behaviour is a change of the release, as in life.
 */

import type { FakeProgram } from "@berth/agent/runtime/fake-program";
import type { Prng } from "@berth/base";
import type { Probe, ServiceSpec, StackSpec } from "@berth/protocol";

/** What a stack is made of. */
export const SHAPES = {
  web: "a free service behind a route, one to four copies",
  worker: "a free service that nobody connects to",
  everywhere: "a free service with one copy on each node",
  db: "one exclusive service with a volume",
  shards: "an exclusive service whose copies have a volume each",
  app: "a migration, a database and a web service that wait for each other",
  pair: "a pod of two services beside a job",
  single: "an exclusive service that could run elsewhere: it has a fixed address",
} as const satisfies Readonly<Record<string, string>>;
export type Shape = keyof typeof SHAPES;

/** Whether the release can work; what a user does not know when deploying it. */
export const QUALITIES = {
  good: "it works",
  crashes: "its process ends soon after each start",
  "never-ready": "its probes never succeed",
  "crashes-at-first": "the first two attempts crash",
  "turns-bad": "its probes fail after a while",
  "no-image": "nobody has its image",
} as const satisfies Readonly<Record<string, string>>;
export type Quality = keyof typeof QUALITIES;

export interface DrawnSpec {
  readonly spec: StackSpec;
  readonly quality: Quality;
}

const FLAWS = (Object.keys(QUALITIES) as Quality[]).filter((quality) => quality !== "good");
/** Every third release of a stack has a flaw. */
const FLAW_CHANCE = 0.3;
/** Short, so that failing rollouts end within a run. */
const PROGRESS_DEADLINES_MS = [15_000, 30_000, 60_000] as const;
const NEVER_MS = 1e12;
/** Environment of a container that says what the fake process does. */
export const PROGRAM = "PROGRAM";

/** A stack file of the shape. */
export function drawSpec(shape: Shape, stack: string, prng: Prng): DrawnSpec {
  const quality = prng.chance(FLAW_CHANCE) ? prng.pick(FLAWS) : "good";
  const services = SERVICES[shape](prng, stack);
  const victim = prng.pick(Object.keys(services));
  const flawed = Object.entries(services).map(([name, spec]) => [
    name,
    name === victim ? withFlaw(spec, quality) : spec,
  ]);
  return {
    quality,
    spec: {
      ...EMPTY,
      ...(shape === "single" ? { networks: ownRange(stack) } : {}),
      volumes: VOLUMES[shape],
      services: Object.fromEntries(flawed),
    },
  };
}

const EMPTY: StackSpec = {
  services: {},
  networks: { default: { internal: false, labels: {} } },
  volumes: {},
  configs: {},
  secrets: {},
};

function ownRange(stack: string): StackSpec["networks"] {
  const subnet = fixedAddress(stack, 0);
  return { default: { internal: false, labels: {}, subnet: `${subnet}/24` } };
}

const EXCLUSIVE = { mode: "exclusive", perCopy: false, driverOptions: {}, labels: {} } as const;

const VOLUMES: Readonly<Record<Shape, StackSpec["volumes"]>> = {
  web: {},
  worker: {},
  everywhere: {},
  db: { data: EXCLUSIVE },
  shards: { data: { ...EXCLUSIVE, perCopy: true } },
  app: { data: EXCLUSIVE },
  pair: {},
  single: {},
};

type Services = Readonly<Record<string, ServiceSpec>>;

const SERVICES: Readonly<Record<Shape, (prng: Prng, stack: string) => Services>> = {
  web: (prng, stack) => ({ web: web(prng, stack) }),
  worker: (prng) => ({
    worker: service(prng, { copies: prng.int(1, 3), restart: { policy: "on-failure" } }),
  }),
  everywhere: (prng) => ({
    agent: service(prng, { mode: "global", probes: probes(prng) }),
  }),
  db: (prng) => ({ db: database(prng) }),
  shards: (prng) => ({ shard: { ...database(prng), copies: prng.int(1, 3) } }),
  app: (prng, stack) => ({
    web: { ...web(prng, stack), dependsOn: { migrate: after("completed"), db: after("healthy") } },
    db: database(prng),
    migrate: { ...task(prng), restart: { policy: "no" }, dependsOn: { db: after("healthy") } },
  }),
  pair: (prng) => {
    const copies = prng.int(1, 2);
    return {
      main: service(prng, { copies, probes: probes(prng) }),
      side: service(prng, { copies, podWith: "main", podShares: ["network"], networks: {} }),
      once: { ...task(prng), mode: "job" },
    };
  },
  single: (prng, stack) => ({
    single: service(prng, {
      probes: probes(prng),
      networks: { default: { aliases: [], ipv4Address: fixedAddress(stack, 10) } },
      update: { ...updateRules(prng), order: "stop-first" },
      ...(prng.chance(0.7) ? { failover: "fence" } : {}),
    }),
  }),
};

/** Address in a range of the stack's own; its number ends the stack's name. */
function fixedAddress(stack: string, host: number): string {
  return `10.200.${/\d+$/.exec(stack)?.[0] ?? "0"}.${host}`;
}

function after(condition: "completed" | "healthy") {
  return { condition, required: true } as const;
}

function web(prng: Prng, stack: string): ServiceSpec {
  return service(prng, {
    copies: prng.int(1, 4),
    expose: [80],
    routes: [{ host: `${stack}.localhost`, path: "/", port: 80 }],
    probes: probes(prng),
  });
}

function database(prng: Prng): ServiceSpec {
  return service(prng, {
    mounts: [{ kind: "volume", volume: "data", target: "/data", readOnly: false }],
    probes: probes(prng),
    update: { ...updateRules(prng), order: "stop-first" },
  });
}

/** Runs for a while and is done. */
function task(prng: Prng): ServiceSpec {
  const program: FakeProgram = { exitAfterMs: prng.int(100, 4_000) };
  return service(prng, { restart: { policy: "on-failure" } }, program);
}

/** Readiness always; now and then a start that is waited for, and a restart when it turns bad. */
function probes(prng: Prng): ServiceSpec["probes"] {
  const ready: Probe = {
    check: { kind: "tcp", port: 80 },
    startPeriodMs: 5_000,
    startIntervalMs: prng.pick([200, 500]),
    intervalMs: prng.pick([2_000, 5_000]),
    timeoutMs: 2_000,
    successThreshold: 1,
    failureThreshold: 3,
  };
  return {
    ready,
    ...(prng.chance(0.2) ? { startup: { ...ready, failureThreshold: 20 } } : {}),
    ...(prng.chance(0.3) ? { live: ready } : {}),
  };
}

function updateRules(prng: Prng): ServiceSpec["update"] {
  return {
    order: prng.pick(["start-first", "start-first", "stop-first"]),
    parallelism: prng.int(0, 2),
    delayMs: prng.pick([0, 0, 1_000]),
    minHealthyMs: prng.pick([0, 1_000, 5_000]),
    progressDeadlineMs: prng.pick(PROGRESS_DEADLINES_MS),
    failureAction: prng.pick(["rollback", "rollback", "rollback", "continue", "pause"]),
  };
}

function service(
  prng: Prng,
  changes: Partial<ServiceSpec>,
  program: FakeProgram = process(prng),
): ServiceSpec {
  return {
    image: `app:${prng.int(1, 4)}`,
    pullPolicy: prng.pick(["missing", "missing", "always"]),
    environment: { [PROGRAM]: JSON.stringify(program), VERSION: String(prng.int(1, 1_000)) },
    engine: {},
    limits: {},
    requests: { cpuMillis: prng.pick([50, 100, 300]) },
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
    update: updateRules(prng),
    constraints: [],
    spreadOver: [],
    priority: prng.pick([40, 50, 60]),
    stopGraceMs: prng.pick([1_000, 5_000]),
    drainMs: prng.pick([0, 1_000, 3_000]),
    log: { maxBytes: 1_048_576, maxFiles: 2 },
    ...(prng.chance(0.15) ? { postStart: [["warm-up"]] } : {}),
    ...(prng.chance(0.15) ? { preStop: [["say-goodbye"]] } : {}),
    ...changes,
  };
}

/** A process that works: when it is healthy, how it ends. */
function process(prng: Prng): FakeProgram {
  return {
    healthyAfterMs: prng.pick([0, 100, 2_000]),
    termDelayMs: prng.pick([0, 0, 500, 3_000]),
    ...(prng.chance(0.1) ? { ignoresTerm: true } : {}),
  };
}

/** Whether the service's containers stay up and become ready, as far as their program says. */
export function canWork(spec: ServiceSpec): boolean {
  const program = JSON.parse(spec.environment[PROGRAM] ?? "{}") as FakeProgram;
  const { exitAfterMs, crashAttempts, healthyAfterMs = 0, unhealthyAfterMs } = program;
  const staysUp = exitAfterMs === undefined || crashAttempts !== undefined;
  const hasProbe = spec.probes.ready !== undefined;
  return staysUp && healthyAfterMs < NEVER_MS && !(hasProbe && unhealthyAfterMs !== undefined);
}

function withFlaw(spec: ServiceSpec, quality: Quality): ServiceSpec {
  if (RUNS_ON.has(quality) && (spec.mode === "job" || spec.restart.policy === "no")) return spec;
  switch (quality) {
    case "good":
      return spec;
    case "crashes":
      return withProgram(spec, { exitAfterMs: 400, exitCode: 1 });
    case "never-ready":
      return { ...withProgram(spec, { healthyAfterMs: NEVER_MS }), image: "broken:1" };
    case "crashes-at-first":
      return withProgram(spec, { exitAfterMs: 300, exitCode: 2, crashAttempts: 2 });
    case "turns-bad":
      return withProgram(spec, { unhealthyAfterMs: 12_000 });
    case "no-image":
      return { ...spec, image: "nowhere:1", pullPolicy: "never" };
  }
}

/** Flaws with which a process never ends: a job would run for ever, and a rollout waits for its jobs. */
const RUNS_ON: ReadonlySet<Quality> = new Set(["never-ready", "crashes-at-first", "turns-bad"]);

function withProgram(spec: ServiceSpec, program: FakeProgram): ServiceSpec {
  return { ...spec, environment: { ...spec.environment, [PROGRAM]: JSON.stringify(program) } };
}
