/**
 * A host of a test's own, in namespaces of this machine: processes, network, mounts and name apart, with an
 * engine that only it has. It can lose its power (`kill -9` of its first process takes all of it) and be
 * booted again: what lies on its disk is there, what lay in memory is gone, the boot identifier is another.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, signal } from "./platform-processes.ts";
import { type CommandResult, eventually, ROOT } from "./test-platform.ts";

/** What runs as the first process: everything volatile is made anew, then it reaps and waits. */
const BOOT = `
set -e
hostname private-host
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
mount -t tmpfs tmpfs /run
mount --bind "$HOST_FOLDER/engine" /var/lib/docker
mount --bind "$HOST_FOLDER/boot_id" /proc/sys/kernel/random/boot_id
touch "$HOST_FOLDER/booted"
exec tini -s -- sleep infinity
`;

const COMMAND_TIMEOUT_MS = 120_000;

export class PrivateHost {
  readonly folder: string;
  readonly dataDir: string;
  readonly socket: string;
  readonly httpPort = 8080;
  /** For the platform's processes, beside what every command has. */
  readonly #environment: Readonly<Record<string, string>>;
  readonly #range = `10.${randomInt(128, 240)}.0.0/16`;
  #unshare: ChildProcess | undefined;
  #init = 0;

  constructor(environment: Readonly<Record<string, string>> = {}) {
    this.#environment = environment;
    this.folder = mkdtempSync(join(tmpdir(), "be-"));
    this.dataDir = join(this.folder, "data");
    this.socket = join(this.folder, "docker.sock");
    mkdirSync(join(this.folder, "engine"));
    mkdirSync("/var/lib/docker", { recursive: true });
  }

  async boot(): Promise<void> {
    writeFileSync(join(this.folder, "boot_id"), `${randomUUID()}\n`);
    rmSync(join(this.folder, "booted"), { force: true });
    const words = ["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"];
    words.push("--propagation", "private", "--", "sh", "-c", BOOT);
    const env = { PATH: process.env["PATH"], HOST_FOLDER: this.folder };
    this.#unshare = spawn("unshare", words, { env, stdio: "ignore" });
    const { pid } = this.#unshare;
    await eventually("the host is booted", () => {
      readFileSync(join(this.folder, "booted"));
      this.#init = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
      return this.#init > 0;
    });
  }

  /** Server, agent, net, HAProxy and an engine that Berth supervises. */
  async startPlatform(): Promise<void> {
    const words = ["--node", "node-1", "--engine-socket", this.socket, "--consent"];
    await this.must("platform", "start", "--cluster-range", this.#range, ...words);
  }

  /** The image of another engine, since this host reaches no network. */
  loadImage(reference: string): void {
    const image = execFileSync("docker", ["save", reference], { maxBuffer: 1024 ** 3 });
    execFileSync("docker", ["-H", `unix://${this.socket}`, "load"], { input: image });
  }

  docker(...words: string[]): string {
    const argv = ["-H", `unix://${this.socket}`, ...words];
    return execFileSync("docker", argv, { stdio: ["ignore", "pipe", "pipe"] }).toString();
  }

  /** Pulls the plug; answers once nothing of it runs. */
  async powerOff(): Promise<void> {
    const unshare = this.#unshare;
    signal(this.#init, "SIGKILL");
    await eventually("the host is off", () => !isAlive(this.#init) && unshare?.exitCode !== null);
    this.#init = 0;
  }

  /** Pids of a program inside, as this machine counts them. */
  pidsOf(program: string): number[] {
    const namespace = readNamespace(this.#init);
    return globSync("/proc/[0-9]*")
      .map((entry) => Number(entry.slice("/proc/".length)))
      .filter(
        (pid) => readNamespace(pid) === namespace && commandOf(pid) === program && isAlive(pid),
      );
  }

  /** Runs `argv` inside. */
  run(...argv: string[]): Promise<CommandResult> {
    const words = ["-t", String(this.#init), "-m", "-u", "-n", "-p", "--", ...argv];
    const env = {
      PATH: process.env["PATH"],
      HOME: this.folder,
      BERTH_DATA: this.dataDir,
      BERTH_SOURCE: "1",
      TERM: "dumb",
      ...this.#environment,
    };
    return new Promise((resolve) => {
      const options = { env, cwd: this.folder, timeout: COMMAND_TIMEOUT_MS, maxBuffer: 2 ** 26 };
      execFile("nsenter", words, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
        resolve({ code, stdout, stderr });
      });
    });
  }

  async must(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(join(ROOT, "berth"), ...words);
    assert.equal(code, 0, `berth ${words.join(" ")} exited ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  async deploy(name: string, compose: string, ...words: string[]): Promise<string> {
    const file = join(this.folder, `${name}.yaml`);
    writeFileSync(file, compose);
    return this.must("deploy", "-f", file, "--stack", name, ...words);
  }

  /** Body of an answer of the ingress; empty when there is none. */
  async ingress(host: string): Promise<string> {
    const url = `http://127.0.0.1:${this.httpPort}/`;
    const { stdout } = await this.run("curl", "-s", "-m", "2", "-H", `Host: ${host}`, url);
    return stdout;
  }

  /** Off, and nothing of it left on this machine. */
  async destroy(): Promise<void> {
    const ids = globSync(join(this.folder, "engine/containers/*")).map((path) =>
      path.split("/").at(-1),
    );
    if (this.#init !== 0) await this.powerOff();
    for (const id of ids) {
      for (const group of globSync(`/sys/fs/cgroup/{*/,}docker/${id}`)) removeGroup(group);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function readNamespace(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return "";
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

/** The kernel keeps the group for a moment after its last process. */
function removeGroup(group: string): void {
  try {
    rmdirSync(group);
  } catch {
    // Gone already, or of a kernel that removes it by itself.
  }
}
