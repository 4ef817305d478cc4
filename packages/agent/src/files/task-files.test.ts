import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Network } from "@berth/protocol";
import { pack } from "tar-stream";
import { AgentState } from "../state/agent-state.ts";
import { MemoryDb } from "../state/memory-db.ts";
import { sealerOf } from "../state/seal.ts";
import { ScriptedServer } from "../sync/scripted-server.ts";
import { sampleAssignment } from "../task/assignment-sample.ts";
import { BlobCache } from "./blob-cache.ts";
import { SecretSource } from "./secret-source.ts";
import { TaskFiles } from "./task-files.ts";

const root = mkdtempSync(join(tmpdir(), "berth-files-"));
after(() => rmSync(root, { recursive: true, force: true }));

const signal = AbortSignal.timeout(20_000);
const NETWORKS = new Map<string, Network>([
  [
    "0a0b0c0d",
    {
      project: "default",
      environment: "main",
      stack: "shop",
      name: "default",
      id: "0a0b0c0d",
      subnet: "10.64.3.0/24",
      gateway: "10.64.3.1",
      internal: false,
      createdAt: 0,
    },
  ],
]);

let benches = 0;
function bench() {
  const directory = join(root, String(++benches));
  const server = new ScriptedServer();
  const api = server.client;
  const db = new MemoryDb();
  const key = randomBytes(32);
  const life = () => {
    const state = new AgentState(db);
    const blobs = new BlobCache({ directory: join(directory, "blobs"), api, node: "n1" });
    const secrets = new SecretSource({ api, node: "n1", state, sealer: sealerOf(key) });
    return new TaskFiles({
      memoryDirectory: join(directory, "memory"),
      objectsDirectory: join(directory, "objects"),
      blobs,
      secrets,
      assignmentOf: () => undefined,
    });
  };
  const add = (bytes: Uint8Array) => {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    server.blobs.set(digest, bytes);
    return digest;
  };
  return { directory, server, db, life, add };
}

async function archive(
  ...entries: readonly (readonly [Parameters<ReturnType<typeof pack>["entry"]>[0], string?])[]
): Promise<Buffer> {
  const made = pack();
  for (const [header, text] of entries) made.entry(header, text ?? "");
  made.finalize();
  const parts: Buffer[] = [];
  for await (const part of made) parts.push(Buffer.from(part as Uint8Array));
  return Buffer.concat(parts);
}

const objectOf = (digest: string, form: "file" | "directory") => ({
  spec: { mounts: [{ kind: "object" as const, digest, form, target: "/object" }] },
});

test("configs, secrets and the resolver's file lie where the container mounts them", async () => {
  const { server, life, add, db } = bench();
  const digest = add(Buffer.from("a: 1\n"));
  server.secrets.set("task01", { pw: Buffer.from("s3cret").toString("base64") });
  const assignment = sampleAssignment("task01", {
    task: { attachments: [{ networkId: "0a0b0c0d", address: "10.64.3.9", mac: "m" }] },
    spec: {
      engine: { dnsSearch: ["example.com"], dnsServers: ["10.9.9.9"] },
      configs: [{ name: "conf", target: "/etc/app.yaml", uid: 7, gid: 8, mode: 0o440 }],
      secrets: [{ name: "pw", target: "pw", uid: 0, gid: 0, mode: 0o400 }],
    },
    configs: { conf: { digest } },
    secrets: { pw: { version: "v1" } },
  });
  const files = life();
  const mounts = await files.prepare(assignment, NETWORKS, signal);
  const byTarget = new Map(mounts.map((mount) => [mount.target, mount]));
  const sourceOf = (target: string) => {
    const mount = byTarget.get(target);
    return mount?.kind === "bind" ? mount.source : assert.fail(`no ${target}`);
  };
  assert.equal(readFileSync(sourceOf("/run/secrets/pw"), "utf8"), "s3cret");
  assert.equal(statSync(sourceOf("/run/secrets/pw")).mode & 0o777, 0o400);
  assert.equal(readFileSync(sourceOf("/etc/app.yaml"), "utf8"), "a: 1\n");
  if (process.getuid?.() === 0) assert.equal(statSync(sourceOf("/etc/app.yaml")).uid, 7);
  const resolver = readFileSync(sourceOf("/etc/resolv.conf"), "utf8");
  assert.match(resolver, /^nameserver 10\.64\.3\.1\nsearch example\.com\n/m);
  assert.match(resolver, /nameserver 10\.9\.9\.9\n$/);
  assert.doesNotMatch(JSON.stringify([...db.read("secret")]), /s3cret|czNjcmV0/);

  const inode = statSync(sourceOf("/etc/resolv.conf")).ino;
  server.goDown();
  const changed = { ...assignment, spec: { ...assignment.spec, engine: {} } };
  await life().prepare(changed, NETWORKS, signal);
  assert.equal(statSync(sourceOf("/etc/resolv.conf")).ino, inode, "in place");
  assert.doesNotMatch(readFileSync(sourceOf("/etc/resolv.conf"), "utf8"), /search/);
  rmSync(join(sourceOf("/run/secrets/pw")));
  await life().prepare(assignment, NETWORKS, signal);
  assert.equal(readFileSync(sourceOf("/run/secrets/pw"), "utf8"), "s3cret", "without the server");
  await files.remove("task01");
  assert.equal(existsSync(sourceOf("/run/secrets/pw")), false);
});

test("hosts names the container itself, and is the engine's where the file needs its help", async () => {
  const { life } = bench();
  const attachments = [{ networkId: "0a0b0c0d", address: "10.64.3.9", mac: "02:42:0a:40:03:09" }];
  const hostsOf = async (engine: Record<string, unknown>) => {
    const assignment = sampleAssignment("task05", { task: { attachments }, spec: { engine } });
    const mounts = await life().prepare(assignment, NETWORKS, signal);
    const mount = mounts.find(({ target }) => target === "/etc/hosts");
    if (mount === undefined) return undefined;
    assert.ok(mount.kind === "bind");
    return { text: readFileSync(mount.source, "utf8"), readOnly: mount.readOnly };
  };
  const plain = await hostsOf({});
  assert.match(plain?.text ?? "", /^127\.0\.0\.1\tlocalhost\n.*\n10\.64\.3\.9\tweb-1\n$/s);
  assert.equal(plain?.readOnly, false);
  const named = await hostsOf({ hostname: "db", domainname: "example.com", readOnlyRoot: true });
  assert.match(named?.text ?? "", /\n10\.64\.3\.9\tdb\.example\.com db\n$/);
  assert.equal(named?.readOnly, true);
  assert.equal(await hostsOf({ extraHosts: ["x:host-gateway"] }), undefined);
});

test("another version of a secret is asked for anew", async () => {
  const { server, life } = bench();
  const of = (version: string) =>
    sampleAssignment("task01", {
      spec: { secrets: [{ name: "pw", target: "pw", uid: 0, gid: 0, mode: 0o400 }] },
      secrets: { pw: { version } },
    });
  server.secrets.set("task01", { pw: Buffer.from("one").toString("base64") });
  await life().prepare(of("v1"), NETWORKS, signal);
  server.secrets.set("task01", { pw: Buffer.from("two").toString("base64") });
  const [mount] = await life().prepare(of("v2"), NETWORKS, signal);
  assert.equal(readFileSync(mount?.kind === "bind" ? mount.source : "", "utf8"), "two");
});

test("an object is fetched once, checked, and shared", async () => {
  const { server, life, add, directory } = bench();
  const digest = add(Buffer.from("content"));
  const [mount] = await life().prepare(
    sampleAssignment("task01", objectOf(digest, "file")),
    NETWORKS,
    signal,
  );
  const source = mount?.kind === "bind" ? mount.source : "";
  assert.equal(readFileSync(source, "utf8"), "content");
  server.goDown();
  const [other] = await life().prepare(
    sampleAssignment("task02", objectOf(digest, "file")),
    NETWORKS,
    signal,
  );
  assert.equal(other?.kind === "bind" ? other.source : "", source);
  server.isDown = false;
  const lie = `sha256:${"0".repeat(64)}`;
  server.blobs.set(lie, Buffer.from("something else"));
  await assert.rejects(
    life().prepare(sampleAssignment("task03", objectOf(lie, "file")), NETWORKS, signal),
    { code: "unavailable" },
  );
  assert.equal(existsSync(join(directory, "blobs", `${"0".repeat(64)}.partial`)), false);
});

test("a directory object is unpacked with its modes and links", async () => {
  const { life, add } = bench();
  const digest = add(
    await archive(
      [{ name: "sub/", type: "directory", mode: 0o755 }],
      [{ name: "sub/run.sh", mode: 0o755 }, "#!/bin/sh\n"],
      [{ name: "again", type: "symlink", linkname: "sub/run.sh" }],
      [{ name: "./plain.txt", mode: 0o644 }, "text"],
    ),
  );
  const [mount] = await life().prepare(
    sampleAssignment("task01", objectOf(digest, "directory")),
    NETWORKS,
    signal,
  );
  const source = mount?.kind === "bind" ? mount.source : "";
  assert.equal(readFileSync(join(source, "again"), "utf8"), "#!/bin/sh\n");
  assert.equal(statSync(join(source, "sub/run.sh")).mode & 0o777, 0o755);
  assert.equal(readFileSync(join(source, "plain.txt"), "utf8"), "text");
});

test("no archive writes outside of its folder, by name, link or device", async () => {
  const { life, add, directory } = bench();
  const evil = [
    await archive([{ name: "../evil" }, "x"]),
    await archive([{ name: "a/../../evil" }, "x"]),
    await archive([{ name: "/tmp/berth-evil" }, "x"]),
    await archive(
      [{ name: "out", type: "symlink", linkname: "../.." }],
      [{ name: "out/evil" }, "x"],
    ),
    await archive([{ name: "out", type: "symlink", linkname: "/tmp" }]),
    await archive([{ name: "in", type: "symlink", linkname: "x" }], [{ name: "in/evil" }, "x"]),
    await archive([{ name: "hard", type: "link", linkname: "../../../etc/passwd" }]),
    await archive([{ name: "null", type: "character-device" }]),
    await archive([{ name: "same" }, "a"], [{ name: "same" }, "b"]),
    Buffer.from("this is no archive at all, and it is longer than a header".repeat(20)),
  ];
  for (const bytes of evil) {
    const assignment = sampleAssignment("task01", objectOf(add(bytes), "directory"));
    await assert.rejects(life().prepare(assignment, NETWORKS, signal), { code: "invalid_request" });
  }
  assert.equal(existsSync(join(directory, "evil")), false);
  assert.equal(existsSync(join(directory, "objects", "evil")), false);
  assert.equal(existsSync("/tmp/berth-evil"), false);
});
