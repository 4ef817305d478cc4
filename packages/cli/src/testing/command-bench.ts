/**
 * Runs command lines against a server in this process, in a folder of its own, and says everything that came
 * back: standard output as it is, standard error after `! `, the exit code where it is not 0. What differs
 * from run to run (times, the folder) is written as words.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "@berth/base";
import {
  type ApiFixture,
  nodeRow,
  nodeStatusRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  stackRow,
  startFixture,
  statusRow,
  taskRow,
} from "@berth/control-plane/api/api-fixture";
import { keys, stackKey } from "@berth/protocol";
import type { Output } from "../output/output.ts";
import { runCommandLine } from "../run-command.ts";

export interface CommandBench {
  readonly fixture: ApiFixture;
  readonly folder: string;
  write(path: string, text: string): void;
  /** `ps shop --json` */
  run(argv: readonly string[]): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export async function startCommandBench(): Promise<CommandBench> {
  const fixture = await startFixture({ clock: systemClock });
  const folder = mkdtempSync(join(tmpdir(), "berth-cli-"));
  const environment = { HOME: folder, BERTH_DATA: join(folder, "data"), PATH: "/usr/bin:/bin" };
  return {
    fixture,
    folder,
    write: (path, text) => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    },
    run: async (argv) => {
      const { output, said } = recorder(argv.includes("--json"));
      const code = await runCommandLine({
        argv,
        environment,
        workingDirectory: folder,
        signal: AbortSignal.timeout(RUN_TIMEOUT_MS),
        output,
        api: fixture.client(),
      });
      return [
        ...said().map((line) => steady(line, folder)),
        ...(code === 0 ? [] : [`exit ${code}`]),
      ];
    },
    stop: async () => {
      await fixture.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A command that takes longer hangs. */
const RUN_TIMEOUT_MS = 20_000;

/** An output that keeps what was written, in its order. */
export function recorder(json: boolean): { readonly output: Output; said(): string[] } {
  const lines: string[] = [];
  const output: Output = {
    line: (text = "") => lines.push(...text.split("\n")),
    bytes: (chunk) => lines.push(...Buffer.from(chunk).toString("utf8").trimEnd().split("\n")),
    note: (text) => lines.push(...text.split("\n").map((line) => `! ${line}`)),
    live: () => {},
    interactive: false,
    columns: Number.POSITIVE_INFINITY,
    json,
    paint: (_colour, text) => text,
  };
  return { output, said: () => lines };
}

/** Without what differs from run to run. */
function steady(line: string, folder: string): string {
  return line
    .replaceAll(folder, "/work")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    .replaceAll(/\b\d{13}\b/g, "0")
    .replaceAll(/thumbprint {3}\S{43}/g, "thumbprint   PRINT")
    .replaceAll(/"tookMs":[\d.]+/g, '"tookMs":0')
    .replaceAll(/\b\d+ (d|h)( \d+ (h|min))?\b/g, "AGE")
    .trimEnd();
}

/** A node, the stack shop with a web and a database, one copy of which is not ready. */
export async function seedShop({ fixture }: Pick<CommandBench, "fixture">): Promise<void> {
  const image = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
  const volume = { mode: "exclusive", perCopy: false, driverOptions: {}, labels: {} } as const;
  const db = serviceSpec({
    mounts: [{ kind: "volume", volume: "data", target: "/data", readOnly: false }],
    update: { ...serviceSpec().update, order: "stop-first" },
  });
  const services = {
    web: { spec: serviceSpec({ copies: 2 }), image, template: "t1" },
    db: { spec: db, image, template: "t2" },
  };
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  await fixture.put(keys.nodeStatus("node-1"), nodeStatusRow());
  await fixture.put(keys.stack(SCOPE), stackRow({ goodRelease: 1 }));
  await fixture.put(keys.release(SCOPE, 1), releaseRow({ services, volumes: { data: volume } }));
  const tasks = [
    taskRow("web00001"),
    taskRow("web00002", { slot: 2 }),
    taskRow("db000001", { service: "db", template: "t2", exclusive: true }),
    taskRow("web00000", {
      slot: 2,
      desired: "stopped",
      stopReason: "replaced by a copy on node-1",
    }),
  ];
  const late = {
    ready: false,
    message: "waits for its readiness check: nothing listens on port 80",
  } as const;
  const failed = { state: "ended", ready: false, exitCode: 1, outcome: "failed" } as const;
  const statuses = [
    statusRow("web00001", { readyAt: 1 }),
    statusRow("web00002", { ...late, startedAt: 1 }),
    statusRow("db000001", { readyAt: 1, attempt: 3 }),
    statusRow("web00000", { ...failed, exitedAt: 1 }),
  ];
  for (const task of tasks) await fixture.put(keys.task(SCOPE, task.id), task);
  for (const status of statuses) await fixture.put(keys.status(SCOPE, status.task), status);
}

/** A network that nobody is on, with the address of a service, and one with the copies of `web`. */
export async function seedNetworks({ fixture }: CommandBench): Promise<void> {
  const stack = stackKey(SCOPE);
  for (const [index, name] of ["spare", "front"].entries()) {
    const network = {
      ...SCOPE,
      ...{
        name,
        id: `0a1b2c${index}0`,
        subnet: `10.64.${index}.0/24`,
        gateway: `10.64.${index}.1`,
      },
      ...{ serviceRange: "10.79.0.0/16", internal: false, createdAt: 0 },
    };
    await fixture.put(keys.network(SCOPE, name), network);
    const own = keys.claim({ kind: "service-address", address: `10.79.0.${index + 1}` });
    await fixture.put(own, { stack, service: "web", network: network.id });
    if (name === "spare") continue;
    for (const slot of [1, 2]) {
      const address = `10.64.${index}.${slot + 1}`;
      const claim = keys.claim({ kind: "address", networkId: network.id, address });
      const id = `web0000${slot}`;
      await fixture.put(claim, { stack, service: "web", tasks: [id] });
      const attachments = [{ networkId: network.id, address, mac: `02:42:0a:40:01:0${slot + 1}` }];
      await fixture.put(keys.task(SCOPE, id), taskRow(id, { slot, attachments }));
    }
  }
}

/** Two nodes more, of which the second has room for little; a service beside the shop that runs on each. */
export async function seedMoreNodes({ fixture }: CommandBench): Promise<void> {
  const zones = { "node-1": "a", "node-2": "b", "node-3": "b" };
  for (const [name, zone] of Object.entries(zones)) {
    await fixture.put(keys.node(name), { ...nodeRow(name), labels: { zone } });
    const { capacity } = nodeStatusRow();
    const small = name === "node-3" ? { capacity: { ...capacity, cpuMillis: 50 } } : {};
    await fixture.put(keys.nodeStatus(name), nodeStatusRow({ name, ...small }));
  }
  const data = { volume: "data", engineName: "berth-data", exclusive: true };
  await fixture.put(keys.volume(SCOPE, "data"), {
    ...{ ...SCOPE, name: "data", engineName: "berth-data", mode: "exclusive", node: "node-1" },
    ...{ external: false, createdAt: 1 },
  });
  const db = { service: "db", template: "t2", exclusive: true, volumes: [data] };
  await fixture.put(keys.task(SCOPE, "db000001"), taskRow("db000001", db));
  const scope = { ...SCOPE, stack: "watch" };
  const image = { reference: "busybox:1", imageId: `sha256:${"b".repeat(64)}` };
  const spec = serviceSpec({ mode: "global" });
  const services = { probe: { spec, image, template: "p1" } };
  await fixture.put(keys.stack(scope), stackRow({ stack: "watch", goodRelease: 1 }));
  await fixture.put(keys.release(scope, 1), releaseRow({ stack: "watch", services, volumes: {} }));
  const task = taskRow("probe001", { stack: "watch", service: "probe", template: "p1" });
  await fixture.put(keys.task(scope, task.id), task);
  await fixture.put(keys.status(scope, task.id), statusRow(task.id, { readyAt: 1 }));
}
