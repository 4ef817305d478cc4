/**
 * A server's inside for tests: memory store, cluster state, the whole API and tokens, on a clock of the
 * test's choice. With a `ManualClock` use `settled`, which lets virtual time pass until a promise is done.
 */

import { type Clock, Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import {
  FORMAT_LEVEL,
  type Kind,
  keys,
  type NodeStatus,
  type Release,
  type ServiceSpec,
  type Stack,
  type StackSpec,
  type Task,
  type TaskStatus,
  type Token,
} from "@berth/protocol";
import { MemoryBlobs } from "../blobs/memory.ts";
import { ControlPlane } from "../control-plane.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import { MemoryStore } from "../store/memory.ts";
import type { Store } from "../store/port.ts";
import { hashToken } from "./authenticator.ts";
import { type Api, createApi } from "./create-api.ts";
import { InProcessClient, type NetworkHook } from "./in-process-client.ts";
import { SecretBox } from "./secret-box.ts";

export const ADMIN_TOKEN = "bt_admin";
/** The token of the agent of `node-1`. */
export const AGENT_TOKEN = "bt_agent";
export const SCOPE = { project: "default", environment: "main", stack: "shop" } as const;

export interface ApiFixture {
  readonly clock: Clock;
  readonly store: Store;
  readonly state: ClusterState;
  readonly driver: Driver;
  readonly api: Api;
  readonly blobs: MemoryBlobs;
  /** Nodes that were heard of. */
  readonly renewed: string[];
  readonly newId: () => string;
  client(options?: { readonly token?: string; readonly network?: NetworkHook }): InProcessClient;
  /** Writes an object as a controller would. */
  put(key: string, value: object): Promise<void>;
  stop(): Promise<void>;
}

export async function startFixture(
  options: { readonly clock?: Clock; readonly store?: Store } = {},
): Promise<ApiFixture> {
  const clock = options.clock ?? new ManualClock();
  const store = options.store ?? new MemoryStore({ clock });
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const settings = DEFAULT_SETTINGS;
  const prng = new Prng(2);
  // Its controllers are not started: tests write what controllers would.
  const control = new ControlPlane({ store, clock, log: silentLogger, prng, driver, settings });
  const { state } = control;
  const blobs = new MemoryBlobs(clock);
  const renewed: string[] = [];
  let count = 0;
  const newId = () => `id${String(++count).padStart(8, "0")}`;
  await seed(store, clock);
  await settled(clock, state.start());
  const api = createApi({
    store,
    state,
    blobs,
    control: {
      renewLease: (node) => renewed.push(node),
      explain: (scope) => control.explain(scope),
      planDeployment: (request) => control.planDeployment(request),
      viewStack: (stack) => control.viewStack(stack),
      serving: control.serving,
      formats: () => control.formats(),
      hasFenceHook: control.hasFenceHook,
      noteServing: (node, serving) => control.noteServing(node, serving),
    },
    settings,
    secrets: new SecretBox(new Uint8Array(32).fill(7)),
    driver,
    clock,
    log: silentLogger,
    newId,
    version: "0.1.0",
  });
  return {
    clock,
    store,
    state,
    driver,
    api,
    blobs,
    renewed,
    newId,
    client: ({ token = ADMIN_TOKEN, network } = {}) =>
      new InProcessClient({
        dispatcher: () => api.dispatcher,
        token,
        newId,
        ...(network === undefined ? {} : { network }),
      }),
    put: async (key, value) => {
      const { revision } = await store.txn({
        compare: [],
        then: [{ kind: "put", key, value: JSON.stringify(value) }],
      });
      await settled(clock, state.waitFor(revision));
    },
    stop: async () => {
      api.close();
      await settled(clock, driver.stop());
      await store.close();
    },
  };
}

async function seed(store: Store, clock: Clock): Promise<void> {
  const tokens: Token[] = [
    { name: "admin", hash: hashToken(ADMIN_TOKEN), role: "admin", createdAt: 1 },
    { name: "agent-1", hash: hashToken(AGENT_TOKEN), role: "agent", node: "node-1", createdAt: 1 },
  ];
  await store.txn({
    compare: [],
    then: [
      ...tokens.map((token) => put(keys.token(token.hash), token)),
      put(keys.cluster(), { id: "c0ffee00", createdAt: clock.now() }),
    ],
  });
}

function put(key: string, value: object) {
  return { kind: "put", key, value: JSON.stringify(value) } as const;
}

/** The result of `promise`; virtual time passes while it is not done. */
export async function settled<T>(clock: Clock, promise: Promise<T>): Promise<T> {
  if (!(clock instanceof ManualClock)) return promise;
  let done = false;
  const finish = () => {
    done = true;
  };
  promise.then(finish, finish);
  for (let turn = 0; turn < 100_000 && !done; turn++) {
    for (let tick = 0; tick < 20 && !done; tick++) await Promise.resolve();
    // A macrotask now and then: streams and cryptography do not end in microtasks alone.
    if (turn % 16 === 15) await new Promise((resolve) => setImmediate(resolve));
    if (!done) clock.advance(1);
  }
  return promise;
}

/** A service that is as short as the schema allows. */
export function serviceSpec(changes: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    image: "busybox:1",
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
    drainMs: 30_000,
    log: { maxBytes: 10_485_760, maxFiles: 3 },
    ...changes,
  };
}

export function stackSpec(changes: Partial<StackSpec> = {}): StackSpec {
  return {
    services: { web: serviceSpec() },
    networks: { default: { internal: false, labels: {} } },
    volumes: {},
    configs: {},
    secrets: {},
    ...changes,
  };
}

export function stackRow(changes: Partial<Stack> = {}): Stack {
  return { ...SCOPE, createdAt: 1, release: 1, releaseMax: 1, restarts: {}, ...changes };
}

export function releaseRow(changes: Partial<Release> = {}): Release {
  const image = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
  return {
    ...SCOPE,
    number: 1,
    createdAt: 1,
    createdBy: "admin",
    services: { web: { spec: serviceSpec(), image, template: "t1" } },
    networks: { default: { internal: false, labels: {} } },
    volumes: {},
    configs: {},
    secrets: {},
    ...changes,
  };
}

export function taskRow(id: string, changes: Partial<Task> = {}): Task {
  return {
    id,
    ...SCOPE,
    service: "web",
    slot: 1,
    release: 1,
    template: "t1",
    restartCount: 0,
    node: "node-1",
    createdAt: 1,
    desired: "running",
    attachments: [],
    volumes: [],
    exclusive: false,
    requests: { cpuMillis: 100, memoryBytes: 1_000_000 },
    ...changes,
  };
}

export function statusRow(task: string, changes: Partial<TaskStatus> = {}): TaskStatus {
  return {
    task,
    node: "node-1",
    sequence: 1,
    attempt: 1,
    state: "running",
    ready: true,
    recentFailures: 0,
    updatedAt: 1,
    ...changes,
  };
}

export function nodeStatusRow(changes: Partial<NodeStatus> = {}): NodeStatus {
  return {
    name: "node-1",
    bootId: "boot-1",
    agentVersion: "0.1.0",
    format: FORMAT_LEVEL,
    platform: { os: "linux", architecture: "amd64" },
    kernel: "6.1",
    engine: { name: "docker", version: "20.10", apiVersion: "1.41", reachable: true },
    capacity: { cpuMillis: 2_000, memoryBytes: 4e9, diskBytes: 4e10, pids: 30_000 },
    reserved: { cpuMillis: 100, memoryBytes: 1e8, diskBytes: 1e9 },
    diskFreeBytes: 1e10,
    diskPressure: false,
    address: "10.0.0.1",
    conditions: [],
    reportedAt: 1,
    ...changes,
  };
}

/** A node that has joined and is in contact. */
export function nodeRow(name: string) {
  return {
    name,
    labels: {},
    availability: "active",
    joinedAt: 1,
    contact: "up",
    contactChangedAt: 1,
  } as const;
}

/** Every entry of a kind that the store has. */
export async function entriesOf(store: Store, kind: Kind): Promise<object[]> {
  const { entries } = await store.list("", { limit: 10_000 });
  return entries
    .filter(({ key }) => key.split("/")[2] === kind)
    .map(({ value }) => JSON.parse(value) as object);
}
