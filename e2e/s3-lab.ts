/**
 * A real S3-compatible storage for tests: OpenStack Swift with its S3 interface, Debian's packages, one process for each of its
 * parts, over TLS with an authority of its own, in a folder of its own. Who may use it, and who may only ask, are two keys.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AwsV4Signer } from "aws4fetch";
import { eventually, freePort } from "./test-platform.ts";

export const OWNER = { id: "test:tester", secret: "secret-of-nobody-else" } as const;
/** Known to the storage, without a right to any bucket. */
export const GUEST = { id: "test:guest", secret: "guests-have-one-as-well" } as const;

const PARTS = ["account", "container", "object"] as const;
const FILTERS = [
  "memcache",
  "bulk",
  "s3api",
  "tempauth",
  "slo",
  "dlo",
  "versioned_writes",
  "symlink",
];
/** Interpreters of Swift start slowly where others are busy. */
const START_MS_MAX = 300_000;
/** Who has which part: one device has all. By one program, not nine of swift-ring-builder, which take seconds each. */
const RINGS = `
import sys
from swift.common.ring import RingBuilder
for word in sys.argv[2:]:
    part, port = word.split("=")
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "d1",
        "weight": 1.0, "replication_ip": "127.0.0.1", "replication_port": int(port), "meta": ""})
    builder.rebalance()
    builder.get_ring().save(f"{sys.argv[1]}/{part}.ring.gz")
`;

export class S3Lab {
  readonly folder = mkdtempSync(join(tmpdir(), "bs3-"));
  readonly #processes: ChildProcess[] = [];
  #port = 0;

  /** With the bucket `bucket`. */
  static async start(): Promise<S3Lab> {
    const lab = new S3Lab();
    try {
      await lab.#start();
    } catch (error) {
      await lab.stop();
      throw error;
    }
    return lab;
  }

  get port(): number {
    return this.#port;
  }

  get endpoint(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** Of the authority that signed the storage's certificate. */
  get authorityFile(): string {
    return join(this.folder, "tls.crt");
  }

  async stop(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What the storage's parts wrote: what a failed test shows. */
  logs(): string {
    return [...PARTS, "proxy"].map((name) => readFileSync(this.#log(name), "utf8")).join("");
  }

  #log(name: string): string {
    return join(this.folder, `${name}.log`);
  }

  async #start(): Promise<void> {
    mkdirSync(join(this.folder, "devices/d1"), { recursive: true });
    this.#makeCertificate();
    this.#port = await freePort();
    const ports = await Promise.all(PARTS.map(() => freePort()));
    const rings = PARTS.map((part, index) => `${part}=${ports[index]}`);
    execFileSync("/usr/bin/python3", ["-c", RINGS, this.folder, ...rings]);
    for (const [index, part] of PARTS.entries()) {
      const port = ports[index] ?? 0;
      this.#begin(part, [
        ...this.#common(port),
        ...[`devices = ${this.folder}/devices`, "mount_check = false", "disable_fallocate = true"],
        ...["[pipeline:main]", `pipeline = ${part}-server`],
        ...[`[app:${part}-server]`, `use = egg:swift#${part}`],
      ]);
    }
    this.#begin("proxy", [
      ...this.#common(this.#port),
      ...[`cert_file = ${this.authorityFile}`, `key_file = ${this.folder}/tls.key`],
      ...["[pipeline:main]", `pipeline = ${FILTERS.join(" ")} proxy-server`],
      ...[
        "[app:proxy-server]",
        "use = egg:swift#proxy",
        "account_autocreate = true",
        // Parts that have not started yet are not left alone for a minute.
        "error_suppression_interval = 1",
      ],
      ...FILTERS.flatMap((name) => [
        `[filter:${name}]`,
        `use = egg:swift#${name}`,
        ...settingsOf(name),
      ]),
    ]);
    await eventually("the storage answers", () => this.#makeBucket(), START_MS_MAX);
  }

  #common(port: number): string[] {
    const user = "user = root";
    const log = "log_level = ERROR";
    return [
      ...["[DEFAULT]", "bind_ip = 127.0.0.1", `bind_port = ${port}`, "workers = 0", user],
      ...[`swift_dir = ${this.folder}`, log],
    ];
  }

  #begin(name: string, lines: readonly string[]): void {
    const file = join(this.folder, `${name}-server.conf`);
    writeFileSync(file, `${lines.join("\n")}\n`);
    const log = openSync(this.#log(name), "a");
    this.#processes.push(spawn(`swift-${name}-server`, [file], { stdio: ["ignore", log, log] }));
  }

  #makeCertificate(): void {
    const words = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
    ];
    const files = ["-keyout", join(this.folder, "tls.key"), "-out", this.authorityFile];
    const subject = ["-subj", "/CN=storage.test", "-addext", "subjectAltName=IP:127.0.0.1"];
    execFileSync("openssl", [...words, ...files, "-days", "2", ...subject], { stdio: "ignore" });
  }

  async #makeBucket(): Promise<boolean> {
    const { status, text } = await this.ask("PUT", "/bucket");
    assert.ok(status === 200 || status === 409, `${status} ${text} ${this.logs().slice(-2_000)}`);
    return true;
  }

  /** Asks the storage beside our own client, by the owner's key. */
  async ask(method: string, path: string): Promise<StorageAnswer> {
    const signer = new AwsV4Signer({
      ...{ method, url: `${this.endpoint}${path}`, region: "us-east-1", service: "s3" },
      ...{ accessKeyId: OWNER.id, secretAccessKey: OWNER.secret },
    });
    const { url, headers } = await signer.sign();
    const ca = readFileSync(this.authorityFile);
    return await new Promise((resolve, reject) => {
      const options = { method, ca, headers: Object.fromEntries(headers.entries()), agent: false };
      const outgoing = request(url, options, (incoming) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
      });
      outgoing.on("error", reject).end();
    });
  }
}

export interface StorageAnswer {
  readonly status: number;
  readonly text: string;
}

function settingsOf(filter: string): string[] {
  if (filter === "tempauth") {
    const [[, owner], [, guest]] = [OWNER.id.split(":"), GUEST.id.split(":")];
    const rights = `${OWNER.secret} .admin`;
    return [`user_test_${owner} = ${rights}`, `user_test_${guest} = ${GUEST.secret}`];
  }
  // Its authentication asks for a cache; one that nobody answers for is as good as none.
  return filter === "memcache" ? ["memcache_servers = 127.0.0.1:9"] : [];
}

/**
 * A wire to the storage that is cut `cuts` times, each after `bytes` from the storage or to it; then it holds. TLS passes
 * through it as it is.
 */
export async function cutWire(
  lab: S3Lab,
  options: { readonly cuts: number; readonly bytes: number },
): Promise<{ readonly endpoint: string; readonly cuts: () => number; readonly close: () => void }> {
  let cuts = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(lab.port, "127.0.0.1");
    let passed = 0;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.on("data", (chunk: Buffer) => {
        passed += chunk.length;
        if (passed > options.bytes && cuts < options.cuts) {
          cuts++;
          near.destroy();
          far.destroy();
        } else if (!to.write(chunk)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
      from.on("end", () => to.end());
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    endpoint: `https://127.0.0.1:${port}`,
    cuts: () => cuts,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
