/**
 * Several hosts of a test's own on one wire: each with processes, network, mounts and name apart, an engine that
 * only it has, and Berth as the printed command installed it. A host can lose its power.
 *
 * All of it hangs on the first process of each host and on one network namespace for the wire: when those end,
 * nothing is left but folders below one temporary folder.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import {
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAlive, signal } from "../platform-processes.ts";
import { type CommandResult, eventually, ROOT } from "../test-platform.ts";

/** What runs as the first process: everything volatile is made anew, then it reaps and waits. */
const BOOT = `
set -e
hostname "$HOST_NAME"
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
mkdir -p "$HOST_FOLDER/cgroup"
mount --rbind /sys/fs/cgroup "$HOST_FOLDER/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$HOST_FOLDER/cgroup" /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount --bind "$HOST_FOLDER/engine" /var/lib/docker
mount --bind "$HOST_FOLDER/boot_id" /proc/sys/kernel/random/boot_id
touch "$HOST_FOLDER/booted"
exec tini -s -- sleep infinity
`;

/** Longer than any command takes on a busy machine: a join fetches and hashes 100 MB, and starts everything. */
const COMMAND_TIMEOUT_MS = 300_000;

/** Of test hosts: RFC 2544 set it aside for labs. */
const WIRE = "198.18.0";

export class HostLab {
  readonly folder = mkdtempSync(join(tmpdir(), "bh-"));
  readonly range = `10.${randomInt(128, 240)}.0.0/16`;
  readonly hosts: LabHost[] = [];
  readonly #wire: ChildProcess;

  private constructor() {
    mkdirSync("/var/lib/docker", { recursive: true });
    const words = ["--net", "--kill-child", "--fork", "--", "sh", "-c"];
    const script = "ip link add br0 type bridge && ip link set br0 up && exec sleep infinity";
    this.#wire = spawn("unshare", [...words, script], { stdio: "ignore" });
  }

  /** A wire with `names` on it; the hosts run nothing yet. */
  static async boot(...names: string[]): Promise<HostLab> {
    // What is served to hosts that join is a bundle.
    execFileSync(join(ROOT, "script/bundle"), { stdio: ["ignore", "ignore", "inherit"] });
    const lab = new HostLab();
    for (const name of names) {
      const host = new LabHost(lab, name, `${WIRE}.${lab.hosts.length + 1}`);
      lab.hosts.push(host);
      await host.boot();
    }
    return lab;
  }

  /** Pid in the wire's network namespace. */
  async wirePid(): Promise<number> {
    const { pid = 0 } = this.#wire;
    let child = 0;
    await eventually("the wire is there", () => {
      child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
      return child > 0 && inWire(child, "ip", "-o", "link", "show", "br0").includes("br0");
    });
    return child;
  }

  async destroy(): Promise<void> {
    for (const host of this.hosts) await host.destroy();
    this.#wire.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function inWire(pid: number, ...argv: string[]): string {
  return execFileSync("nsenter", ["-t", String(pid), "-n", "--", ...argv]).toString();
}

export class LabHost {
  readonly name: string;
  readonly address: string;
  readonly folder: string;
  readonly socket: string;
  /** The checkout whose bundle `berth` and `must` run: another one is another version. */
  root = ROOT;
  readonly #lab: HostLab;
  #unshare: ChildProcess | undefined;
  #init = 0;

  constructor(lab: HostLab, name: string, address: string) {
    this.#lab = lab;
    this.name = name;
    this.address = address;
    this.folder = join(lab.folder, name);
    this.socket = join(this.folder, "docker.sock");
    mkdirSync(join(this.folder, "engine"), { recursive: true });
  }

  async boot(): Promise<void> {
    writeFileSync(join(this.folder, "boot_id"), `${randomUUID()}\n`);
    rmSync(join(this.folder, "booted"), { force: true });
    const words = ["--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"];
    words.push("--propagation", "private", "--", "sh", "-c", BOOT);
    const { PATH } = process.env;
    const env = { PATH, HOST_FOLDER: this.folder, HOST_NAME: this.name };
    this.#unshare = spawn("unshare", words, { env, stdio: "ignore" });
    const { pid } = this.#unshare;
    await eventually(`${this.name} is booted`, () => {
      readFileSync(join(this.folder, "booted"));
      this.#init = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
      return this.#init > 0;
    });
    await this.#plugIn();
  }

  /** A cable from the host's eth0 to the wire. */
  async #plugIn(): Promise<void> {
    const wire = await this.#lab.wirePid();
    const end = `v-${this.name}`;
    const peer = ["peer", "name", "eth0", "netns", String(this.#init)];
    // Connections that could not say goodbye keep a dead host's network, and its cable, for minutes.
    if (inWire(wire, "ip", "-o", "link", "show").includes(` ${end}@`)) {
      inWire(wire, "ip", "link", "delete", end);
    }
    inWire(wire, "ip", "link", "add", end, "type", "veth", ...peer);
    inWire(wire, "ip", "link", "set", end, "master", "br0", "up");
    await this.inside("ip", "address", "add", `${this.address}/24`, "dev", "eth0");
    await this.inside("ip", "link", "set", "eth0", "up");
    await this.inside("ip", "route", "add", "default", "via", `${WIRE}.254`);
  }

  /** Pulls the cable, or puts it back: the host runs on and reaches nobody meanwhile. */
  async cable(state: "down" | "up"): Promise<void> {
    const wire = await this.#lab.wirePid();
    inWire(wire, "ip", "link", "set", `v-${this.name}`, state);
  }

  /** Settings of the platform on this host, before its first start. */
  prepareSettings(settings: object): void {
    const folder = join(this.folder, "data");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, "platform.json"), JSON.stringify(settings));
  }

  /** The first host: server, agent, net and an engine that Berth supervises. */
  startServer(...options: string[]): Promise<string> {
    const words = ["--node", this.name, "--engine-socket", this.socket, "--consent"];
    return this.must("platform", "start", "--cluster-range", this.#lab.range, ...words, ...options);
  }

  /** Runs the line that `berth node join` printed, as a person pastes it. */
  paste(line: string, ...options: string[]): Promise<CommandResult> {
    const words = ["--node", this.name, "--engine-socket", this.socket, ...options];
    // The test is root already, and a minimal machine has no sudo.
    const pasted = `${line.replace("| sudo sh", "| sh")} ${words.join(" ")}`;
    return this.run("sh", "-c", pasted);
  }

  loadImage(reference: string): void {
    const image = execFileSync("docker", ["save", reference], { maxBuffer: 1024 ** 3 });
    execFileSync("docker", ["-H", `unix://${this.socket}`, "load"], { input: image });
  }

  /** Makes an image of the machine's own static busybox at this host's engine. */
  buildBusybox(reference: string): void {
    const context = join(this.folder, "busybox");
    mkdirSync(context, { recursive: true });
    copyFileSync("/bin/busybox", join(context, "busybox"));
    const install = 'RUN ["/bin/busybox", "--install", "-s", "/bin"]';
    const lines = ["FROM scratch", "COPY busybox /bin/busybox", install, "ENV PATH=/bin", ""];
    writeFileSync(join(context, "Dockerfile"), lines.join("\n"));
    this.docker("build", "-q", "-t", reference, context);
  }

  docker(...words: string[]): string {
    const argv = ["-H", `unix://${this.socket}`, ...words];
    return execFileSync("docker", argv, { stdio: ["ignore", "pipe", "pipe"] }).toString();
  }

  /** Pulls the plug; answers once nothing of it runs. */
  async powerOff(): Promise<void> {
    const unshare = this.#unshare;
    signal(this.#init, "SIGKILL");
    await eventually(`${this.name} is off`, () => {
      return !isAlive(this.#init) && unshare?.exitCode !== null;
    });
    this.#init = 0;
    rmSync(this.socket, { force: true });
  }

  /** Runs `argv` inside. */
  run(...argv: string[]): Promise<CommandResult> {
    const words = ["-t", String(this.#init), "-m", "-u", "-n", "-p", "--", ...argv];
    const env = {
      PATH: process.env["PATH"],
      HOME: this.folder,
      BERTH_DATA: join(this.folder, "data"),
      BERTH_PREFIX: join(this.folder, "usr"),
      TERM: "dumb",
    };
    return new Promise((resolve) => {
      const options = { env, cwd: this.folder, timeout: COMMAND_TIMEOUT_MS, maxBuffer: 2 ** 26 };
      execFile("nsenter", words, options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
        resolve({ code, stdout, stderr });
      });
    });
  }

  /** Begins a program inside that runs until the host loses its power, or its pid is ended. */
  begin(...argv: string[]): ChildProcess {
    const words = ["-t", String(this.#init), "-m", "-u", "-n", "-p", "--", ...argv];
    return spawn("nsenter", words, { cwd: this.folder, stdio: "ignore" });
  }

  async inside(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    assert.equal(code, 0, `${argv.join(" ")} exited ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Runs `berth WORDS...` of the bundle in `root`. */
  berth(...words: string[]): Promise<CommandResult> {
    return this.run(join(this.root, "berth"), ...words);
  }

  /** Runs what the join installed. */
  installed(...words: string[]): Promise<CommandResult> {
    return this.run(join(this.folder, "usr/bin/berth"), ...words);
  }

  must(...words: string[]): Promise<string> {
    return this.inside(join(this.root, "berth"), ...words);
  }

  async json<T>(...words: string[]): Promise<T[]> {
    const text = await this.must(...words, "--json");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line): T => JSON.parse(line));
  }

  async deploy(name: string, compose: string, ...words: string[]): Promise<string> {
    const file = join(this.folder, `${name}.yaml`);
    writeFileSync(file, compose);
    return this.must("deploy", "-f", file, "--stack", name, ...words);
  }

  /** Off, and nothing of it left on this machine. */
  async destroy(): Promise<void> {
    const containers = globSync(join(this.folder, "engine/containers/*"));
    const ids = containers.map((path) => path.split("/").at(-1));
    if (this.#init !== 0) await this.powerOff();
    for (const id of ids) {
      for (const group of globSync(`/sys/fs/cgroup/{*/,}docker/${id}`)) removeGroup(group);
    }
    rmSync(this.folder, { recursive: true, force: true });
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
