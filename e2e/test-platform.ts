/**
 * A whole platform of a test's own: data folder, ports and node name apart from any other on this machine,
 * the real engine, HAProxy and firewall, driven by the real command line.
 */

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Longer than any command of a test takes on a busy machine. */
const COMMAND_TIMEOUT_MS = 180_000;

export class TestPlatform {
  readonly dataDir: string;
  readonly port: number;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly folder: string;
  /** Range of networks that no other platform on the engine uses. */
  readonly range: string;
  readonly environment: NodeJS.ProcessEnv;

  private constructor(folder: string, ports: readonly [number, number, number]) {
    this.folder = folder;
    this.dataDir = join(folder, "data");
    [this.port, this.httpPort, this.httpsPort] = ports;
    this.range = freeRange();
    this.environment = {
      PATH: process.env["PATH"],
      HOME: folder,
      BERTH_DATA: this.dataDir,
      // The code of this checkout, not a bundle that may be older.
      BERTH_SOURCE: "1",
      TERM: "dumb",
    };
  }

  /** Prepares folders and free ports; nothing runs yet. */
  static async prepare(): Promise<TestPlatform> {
    // Unix sockets have short paths: the folder's name is short, too.
    const folder = mkdtempSync(join(tmpdir(), "be-"));
    return new TestPlatform(folder, [await freePort(), await freePort(), await freePort()]);
  }

  /** From here on the bundle runs, as it does for users, instead of the sources: it starts in a tenth of the time. */
  useBundle(): void {
    execFileSync(join(ROOT, "script/bundle"), { stdio: ["ignore", "ignore", "inherit"] });
    delete this.environment["BERTH_SOURCE"];
  }

  /** Prepares and starts. `words` are further options of `platform start`. */
  static async start(words: readonly string[] = []): Promise<TestPlatform> {
    const platform = await TestPlatform.prepare();
    await platform.startPlatform(words);
    return platform;
  }

  async startPlatform(words: readonly string[] = []): Promise<void> {
    const own = ["--port", `${this.port}`, "--http-port", `${this.httpPort}`];
    own.push("--https-port", `${this.httpsPort}`);
    own.push("--cluster-range", this.range);
    await this.must("platform", "start", "--consent", "--node", "node-1", ...own, ...words);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Identifier of the cluster, by which containers and networks are labelled. */
  get cluster(): string {
    return readFileSync(join(this.dataDir, "cluster.id"), "utf8").trim();
  }

  get token(): string {
    return readFileSync(join(this.dataDir, "admin.token"), "utf8").trim();
  }

  /** Runs `berth WORDS...` and answers how it ended. */
  berth(...words: string[]): Promise<CommandResult> {
    return this.berthWith({}, ...words);
  }

  berthWith(
    options: { readonly cwd?: string; readonly environment?: NodeJS.ProcessEnv },
    ...words: string[]
  ): Promise<CommandResult> {
    return new Promise((resolve) => {
      execFile(
        join(ROOT, "berth"),
        words,
        {
          cwd: options.cwd ?? this.folder,
          env: { ...this.environment, ...options.environment },
          timeout: COMMAND_TIMEOUT_MS,
          maxBuffer: 64 * 1024 * 1024,
        },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
          resolve({ code, stdout, stderr });
        },
      );
    });
  }

  /** Runs a command that has to succeed; answers its output. */
  async must(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.berth(...words);
    assert.equal(code, 0, `berth ${words.join(" ")} exited ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Runs a command with `--json` and parses each line. */
  async json<T>(...words: string[]): Promise<T[]> {
    const text = await this.must(...words, "--json");
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line): T => JSON.parse(line));
  }

  /** Writes `files` into a folder of their own; answers the folder. */
  project(name: string, files: Readonly<Record<string, string>>): string {
    const folder = join(this.folder, name);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return folder;
  }

  /** Deploys a Compose text as stack `name`; answers how the command ended. */
  deploy(name: string, compose: string, ...words: string[]): Promise<CommandResult> {
    const folder = this.project(name, { "compose.yaml": compose });
    return this.berth("deploy", "-f", join(folder, "compose.yaml"), "--stack", name, ...words);
  }

  /** A request to the ingress for `host`. */
  ingress(host: string, path = "/"): Promise<HttpAnswer> {
    return get({ port: this.httpPort, path, headers: { host } });
  }

  /** A request to the API with the admin token. */
  api(method: string, path: string, headers: Readonly<Record<string, string>> = {}) {
    return get({
      port: this.port,
      method,
      path,
      headers: { authorization: `Bearer ${this.token}`, ...headers },
    });
  }

  /** Removes everything of this platform, volumes included. */
  async uninstall(): Promise<void> {
    const { code, stdout, stderr } = await this.berth(
      ...["platform", "uninstall", "--yes", "--volumes", "all"],
    );
    assert.equal(code, 0, stdout + stderr);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function get(options: {
  readonly port: number;
  readonly path: string;
  readonly host?: string;
  readonly timeout?: number;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", agent: false, timeout: 10_000, ...options },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.once("error", reject);
        incoming.once("end", () => {
          const body = Buffer.concat(chunks).toString();
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
        });
      },
    );
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer within 10 s")));
    outgoing.once("error", reject);
    outgoing.end(options.body);
  });
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** A range outside the default one (10.64.0.0/12), chosen by chance: several test files may run at once. */
function freeRange(): string {
  return `10.${randomInt(128, 240)}.0.0/16`;
}

/** Asks until `holds` is true; fails with `what` after `timeoutMs`. Errors of `holds` count as false. */
export async function eventually(
  what: string,
  holds: () => Promise<boolean> | boolean,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      if (await holds()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await delay(50);
  }
  assert.fail(
    `${what}: not within ${timeoutMs} ms${last === undefined ? "" : `: ${String(last)}`}`,
  );
}
