/**
 * A container engine of a test's own, which it may kill: roots of its own, no bridge, no firewall rules.
 */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "@berth/base";
import { dockerRuntime } from "../src/runtime/docker.ts";

export interface OwnEngine {
  readonly socketPath: string;
  /** `kill -9` of the engine; containers go on. */
  kill(): Promise<void>;
  /** Starts it, again after a kill, and waits until it answers. */
  start(): Promise<void>;
  /** Ends everything and removes it. */
  close(): Promise<void>;
}

const READY_TIMEOUT_MS = 40_000;

export async function openOwnEngine(): Promise<OwnEngine> {
  const directory = await mkdtemp(join(tmpdir(), "berth-engine-"));
  const socketPath = join(directory, "engine.sock");
  let child: ChildProcess | undefined;
  const launch = () => {
    const roots = ["--data-root", join(directory, "data"), "--exec-root", join(directory, "run")];
    const network = ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"];
    const files = ["-H", `unix://${socketPath}`, "--pidfile", join(directory, "engine.pid")];
    const words = [...roots, ...network, ...files, "--live-restore"];
    // In a network namespace of its own: without a bridge of its own it would delete the docker0 of the
    // machine's engine, and every later test that builds an image would fail. unshare becomes dockerd.
    child = spawn("unshare", ["--net", "dockerd", ...words], { stdio: "ignore" });
  };
  const end = async (signal: NodeJS.Signals) => {
    const dying = child;
    child = undefined;
    if (dying === undefined || dying.exitCode !== null) return;
    const ended = new Promise<void>((resolve) => dying.once("exit", () => resolve()));
    dying.kill(signal);
    await ended;
  };
  return {
    socketPath,
    kill: async () => {
      await end("SIGKILL");
      await rm(join(directory, "engine.pid"), { force: true });
    },
    start: async () => {
      const deadline = performance.now() + READY_TIMEOUT_MS;
      const runtime = dockerRuntime({ socketPath });
      while (performance.now() < deadline) {
        // The orphaned containerd can make the first start after a kill fail.
        if (child === undefined || child.exitCode !== null) launch();
        const ready = await runtime.info().then(
          () => true,
          () => false,
        );
        if (ready) break;
        await new Promise<void>((resolve) => {
          systemClock.setTimer(100, resolve);
        });
      }
      runtime.close();
    },
    close: async () => {
      await end("SIGKILL");
      // After a kill the containerd of the engine's first life is nobody's child: asked to end, the
      // engine would wait for it.
      await killByFile(join(directory, "run", "containerd", "containerd.pid"));
      // The engine mounts its data on itself and leaves that behind.
      await promisify(execFile)("umount", ["-l", join(directory, "data")]).catch(() => {});
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function killByFile(path: string): Promise<void> {
  const pid = Number(await readFile(path, "utf8").catch(() => "0"));
  if (!Number.isInteger(pid) || pid <= 1) return;
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  if (command.includes("containerd")) process.kill(pid, "SIGKILL");
}
