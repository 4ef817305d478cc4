/**
 * A host of our own for tests: a network namespace in which the test itself runs, with `net` as a process
 * that can be killed, and containers that are namespaces joined to bridges.
 *
 * Everything dies with the test's process: no named namespace, no rule, no address is left on the machine.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { after, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { NetClient, netSocketPath } from "../src/client.ts";
import type { NodeNetworkModel } from "../src/model.ts";
import type { ServiceName } from "../src/service-name.ts";

const INSIDE = "BERTH_LAB_INSIDE";
const INNER_TIMEOUT_MS = 240_000;

/** Runs the calling test file once more inside a namespace; `define` adds its tests there. */
export function inNamespace(moduleUrl: string, define: () => void): void {
  if (process.env[INSIDE] === "1") {
    execFileSync("ip", ["link", "set", "lo", "up"]);
    define();
    return;
  }
  test("in a network namespace of its own", () => {
    // The runner's own variable would make the inner run report into the outer one.
    const env = { ...process.env, [INSIDE]: "1", NODE_TEST_CONTEXT: undefined };
    const args = ["-n", process.execPath, "--test", fileURLToPath(moduleUrl)];
    const result = spawnSync("unshare", args, { env, encoding: "utf8", timeout: INNER_TIMEOUT_MS });
    process.stdout.write(result.stdout);
    assert.equal(result.status, 0, `${result.stdout}\n${result.stderr}`);
  });
}

export interface NetUnderTest {
  readonly dataDir: string;
  readonly client: NetClient;
  readonly pid: () => number;
  /** Starts (or starts again) and waits until it serves. */
  readonly start: () => Promise<void>;
  readonly kill: () => Promise<void>;
}

/** The words before a command that is to run in the network namespace of process `pid`. */
export function insideOf(pid: number | undefined): readonly string[] {
  return pid === undefined ? [] : ["nsenter", "-t", String(pid), "-n"];
}

/**
 * A `net` with a folder of its own; it and its HAProxy end with the test file. It runs in the test's network,
 * or in that of the process that `host` names.
 */
export function netUnderTest(
  env: Readonly<Record<string, string>> = {},
  host: () => number | undefined = () => undefined,
): NetUnderTest {
  const dataDir = mkdtempSync(`${tmpdir()}/bnet-`);
  let child: ChildProcess | undefined;
  const client = new NetClient({ socketPath: netSocketPath(dataDir) });
  const kill = async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  };
  const start = async () => {
    const main = fileURLToPath(new URL("./net-main.ts", import.meta.url));
    const [file = "", ...words] = [...insideOf(host()), process.execPath, main, dataDir];
    child = spawn(file, words, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", process.env["BERTH_LAB_VERBOSE"] === "1" ? "inherit" : "ignore"],
    });
    assert.ok(child.stdout !== null);
    const exited = once(child, "exit").then(([code]) => assert.fail(`net ended with code ${code}`));
    await Promise.race([once(child.stdout, "data"), exited]);
    exited.catch(() => {});
  };
  after(async () => {
    const ingressPid = (await client.status().catch(() => undefined))?.ingressPid;
    if (ingressPid !== undefined) {
      await client.stop({ ingress: true }).catch(() => {});
      // It answers before it stops; killed in between, it would leave HAProxy and its workers behind.
      await until("end of net", 10_000, () => (isAlive(child?.pid ?? -1) ? undefined : true)).catch(
        () => {},
      );
    }
    await kill();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return { dataDir, client, start, kill, pid: () => child?.pid ?? -1 };
}

export const SERVICE: ServiceName = {
  project: "default",
  environment: "main",
  stack: "shop",
  service: "web",
};

/** A model of one network on 127.0.0.0/8, where every address is there without a bridge. */
export function loopbackModel(
  generation: number,
  change: Partial<NodeNetworkModel>,
): NodeNetworkModel {
  const { project, environment, stack } = SERVICE;
  return {
    format: 1,
    generation,
    cluster: { id: "lab" },
    domain: "berth",
    networks: [
      {
        id: "n1",
        project,
        environment,
        stack,
        name: "default",
        bridge: "lab0",
        subnet: "127.77.0.0/16",
        gateway: "127.77.0.1",
        internal: false,
      },
    ],
    services: [
      {
        ...SERVICE,
        networks: [{ networkId: "n1", aliases: [] }],
        endpointMode: "dnsrr",
        ports: [{ name: "http", port: 8080, protocol: "tcp" }],
      },
    ],
    endpoints: [],
    attachments: [],
    ingress: {
      httpPort: 8000,
      bindAddress: "127.0.0.1",
      httpRoutes: [
        {
          id: "r1",
          hosts: ["shop.test"],
          pathPrefix: "/",
          target: { ...SERVICE, networkId: "n1", port: 8080 },
        },
      ],
      tcpPorts: [],
      drainTimeoutMs: 5_000,
    },
    forwarders: [],
    hostPolicy: { openPorts: [], metadataAccess: false },
    ...change,
  };
}

export function endpoint(slot: number, state: "ready" | "draining" = "ready") {
  return {
    ...SERVICE,
    slot,
    taskId: `task${slot}`,
    networkId: "n1",
    address: `127.77.1.${slot}`,
    state,
  };
}

/** A copy of the service: answers every request with its slot, after `delayMs`. */
export async function startCopy(t: TestContext, slot: number, delayMs = 0): Promise<Server> {
  const server = createServer((request, response) => {
    request.resume();
    setTimeout(() => response.end(`${slot}`), delayMs);
  });
  // A copy closes idle connections never before HAProxy does, as a well-kept server.
  server.keepAliveTimeout = 600_000;
  server.listen(8080, `127.77.1.${slot}`);
  await once(server, "listening");
  t.after(() => stopCopy(server));
  return server;
}

/** Closes its port and all its connections, so that the next test may take the address. */
export async function stopCopy(server: Server): Promise<void> {
  if (!server.listening) return;
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}

/** Waits until `check` gives a value; fails after `timeoutMs`. For effects that nobody announces. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  check: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined) return value;
    assert.ok(performance.now() < deadline, `${what} did not happen within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
