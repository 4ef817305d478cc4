/**
 * A host of the benchmarks' own: an engine with its own data, a busybox image, a bundled platform. The
 * script put this process into namespaces of its own; they vanish with it.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export const ROOT = join(import.meta.dirname, "..");
export const IMAGE = "berth/bench";

/** What both sides may do at once: two starts a processor (more only adds latency). */
export const CONCURRENCY = 4;

export class BenchHost {
  readonly folder: string;
  readonly socket: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  private constructor(folder: string) {
    this.folder = folder;
    this.socket = join(folder, "docker.sock");
  }

  static async make(): Promise<BenchHost> {
    execFileSync("ip", ["link", "set", "lo", "up"]);
    writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
    execFileSync("hostname", ["bench"]);
    // As on every host: what is written there is never a disk's.
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
    const host = new BenchHost(mkdtempSync("/var/tmp/berth-bench-"));
    await host.#startEngine();
    host.#importImage();
    return host;
  }

  async #startEngine(): Promise<void> {
    const log = openSync(join(this.folder, "dockerd.log"), "a");
    const words = [
      ["--data-root", join(this.folder, "data")],
      ["--exec-root", join(this.folder, "run")],
      ["--pidfile", join(this.folder, "docker.pid")],
      ["-H", `unix://${this.socket}`],
      ["--cgroup-parent", "/berth-bench"],
      ["--dns", "127.0.0.1"],
    ];
    spawn("dockerd", words.flat(), { stdio: ["ignore", log, log] });
    await until(
      "the engine answers",
      async () => (await this.engine("GET", "/_ping")).status === 200,
    );
  }

  #importImage(): void {
    const root = join(this.folder, "root");
    mkdirSync(join(root, "bin"), { recursive: true });
    mkdirSync(join(root, "www"));
    writeFileSync(join(root, "www/index.html"), "ok\n");
    copyFileSync("/bin/busybox", join(root, "bin/busybox"));
    const applets = execFileSync("/bin/busybox", ["--list"]).toString().trim().split("\n");
    for (const name of applets) {
      if (name !== "busybox") symlinkSync("busybox", join(root, "bin", name));
    }
    execFileSync("sh", [
      "-c",
      'tar -C "$1" -c . | docker -H "unix://$2" import -c "ENV PATH=/bin" - "$3"',
      "sh",
      root,
      this.socket,
      IMAGE,
    ]);
    rmSync(root, { recursive: true });
  }

  /** A call of the Engine API on a kept connection. */
  engine(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const outgoing = request(
        {
          socketPath: this.socket,
          method,
          path,
          agent: this.#agent,
          headers: text === undefined ? {} : { "content-type": "application/json" },
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.once("error", reject);
          incoming.once("end", () => {
            const answer = Buffer.concat(chunks).toString();
            const isJson =
              incoming.headers["content-type"]?.startsWith("application/json") === true;
            const parsed: unknown = isJson && answer !== "" ? JSON.parse(answer) : answer;
            resolve({ status: incoming.statusCode ?? 0, body: parsed });
          });
        },
      );
      outgoing.once("error", reject);
      outgoing.end(text);
    });
  }

  /** Running containers that carry `label`. */
  async running(label: string): Promise<readonly { readonly Id: string }[]> {
    const filters = JSON.stringify({ label: [label], status: ["running"] });
    const { body } = await this.engine(
      "GET",
      `/containers/json?filters=${encodeURIComponent(filters)}`,
    );
    return Array.isArray(body) ? body : [];
  }

  docker(...words: string[]): string {
    return execFileSync("docker", ["-H", `unix://${this.socket}`, ...words], {
      stdio: ["ignore", "pipe", "pipe"],
    }).toString();
  }

  /** Starts a bundled platform on this host's engine. */
  async platform(): Promise<BenchPlatform> {
    const platform = new BenchPlatform(join(this.folder, "p"));
    platform.berth(
      "platform",
      "start",
      "--consent",
      "--node",
      "bench",
      "--engine-socket",
      this.socket,
    );
    return platform;
  }
}

/** Containers and networks live in namespaces that end with this process; what is on disk goes here. */
export function removeHost(host: BenchHost): void {
  execFileSync("sh", [
    "-c",
    'umount -R "$1"/data/overlay2/*/merged 2>/dev/null; exit 0',
    "sh",
    host.folder,
  ]);
  try {
    rmSync(host.folder, { recursive: true, force: true });
  } catch {
    // What the dying engine still holds is found under /var/tmp/berth-bench-*.
  }
}

export class BenchPlatform {
  readonly dataDir: string;
  readonly environment: NodeJS.ProcessEnv;

  constructor(dataDir: string) {
    this.dataDir = dataDir;
    this.environment = {
      PATH: process.env["PATH"],
      HOME: dataDir,
      BERTH_DATA: dataDir,
      TERM: "dumb",
    };
  }

  /** Runs a command that has to succeed; otherwise the last words of every process are shown. */
  berth(...words: string[]): string {
    try {
      return execFileSync(join(ROOT, "berth"), words, {
        env: this.environment,
        stdio: ["ignore", "pipe", "inherit"],
        maxBuffer: 64 * 1024 * 1024,
      }).toString();
    } catch (error) {
      const logs = join(this.dataDir, "log");
      for (const name of readdirSync(logs)) {
        const lines = readFileSync(join(logs, name), "utf8").trim().split("\n").slice(-LOG_LINES);
        console.error(`${name}:\n  ${lines.join("\n  ")}`);
      }
      throw error;
    }
  }

  /** Begins a command, while this process does something else. */
  spawn(...words: string[]): ChildProcess {
    return spawn(join(ROOT, "berth"), words, { env: this.environment, stdio: "ignore" });
  }

  /** Deploys a Compose text; answers the milliseconds of the whole command. */
  deploy(name: string, compose: string): number {
    const file = join(this.dataDir, `${name}.yaml`);
    writeFileSync(file, compose);
    const from = performance.now();
    this.berth("deploy", "-f", file, "--stack", name, "--timeout", "15m");
    return performance.now() - from;
  }

  remove(name: string): void {
    this.berth("stack", "rm", name, "--yes");
  }

  /** Process ids of server, agent, net and HAProxy. */
  processes(): Readonly<Record<"server" | "agent" | "net" | "haproxy", readonly number[]>> {
    const record = (name: string): number[] => {
      const text = readFileSync(join(this.dataDir, "process", name), "utf8");
      const value: unknown = JSON.parse(text);
      assert.ok(typeof value === "object" && value !== null && "pid" in value);
      return [Number(value.pid)];
    };
    const named = (pattern: string) => {
      try {
        const text = execFileSync("pgrep", ["-f", pattern]).toString();
        return text.trim().split("\n").map(Number);
      } catch {
        return [];
      }
    };
    return {
      server: record("server"),
      agent: record("agent"),
      net: named("/net\\.mjs$"),
      haproxy: named(`^haproxy .*${this.dataDir}`),
    };
  }

  /** Processor time of all our processes so far, and of the programs that they keep, milliseconds. */
  cpuMs(): number {
    const ours = new Set(Object.values(this.processes()).flat());
    return [...new Set([...ours, ...childrenOf(ours)])].reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  }
}

const LOG_LINES = 8;

/** Clock ticks of the kernel's accounting a second (USER_HZ). */
const TICKS_PER_SECOND = 100;

/** Own time and that of programs that it started and that have ended (`ip`, `nft`), milliseconds. */
export function cpuMsOf(pid: number): number {
  const ticks = statFields(pid)
    .slice(11, 15)
    .reduce((sum, field) => sum + Number(field), 0);
  return (ticks * 1000) / TICKS_PER_SECOND;
}

/** Processes whose parent is one of `parents`: `nft`, `ip`. */
function childrenOf(parents: ReadonlySet<number>): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      try {
        return parents.has(Number(statFields(pid)[1]));
      } catch {
        return false; // No process, or one that has ended meanwhile.
      }
    });
}

/** Fields of the process's state, from the third on (the second may have blanks). */
function statFields(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

export function residentMiB(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
}

export async function until(what: string, holds: () => Promise<boolean>, timeoutMs = 600_000) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      if (await holds()) return;
    } catch {
      // Not there yet.
    }
    assert.ok(performance.now() < deadline, `${what}: not within ${timeoutMs} ms`);
    await delay(5);
  }
}

/** Runs `work` over `items`, so many at once. */
export async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const one = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}
