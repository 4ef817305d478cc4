/**
 * Backups on S3-compatible storage, a real one over TLS: what is written comes back byte by byte, over connections that
 * are cut; nothing half is ever under a name; refusals are said in words; no secret is in any of them.
 */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, mock, test } from "node:test";
import { ProtocolError } from "@berth/protocol";
import type { BackupPlace } from "../packages/cli/src/backup-storage/place.ts";
import { s3Place } from "../packages/cli/src/backup-storage/s3-place.ts";
import type { CommandInput } from "../packages/cli/src/command.ts";
import { startServerProcess } from "../packages/control-plane/e2e/server-process.ts";
import { cutWire, GUEST, OWNER, S3Lab } from "./s3-lab.ts";
import { eventually, ROOT, TestPlatform } from "./test-platform.ts";

/** The smallest that S3 takes. */
const PART_BYTES = 5 * 2 ** 20;

let storage: S3Lab;

before(async () => {
  storage = await S3Lab.start();
});

after(() => storage?.stop());

function environment(change: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    ...{ AWS_ACCESS_KEY_ID: OWNER.id, AWS_SECRET_ACCESS_KEY: OWNER.secret },
    ...{ AWS_ENDPOINT_URL: storage.endpoint, AWS_CA_BUNDLE: storage.authorityFile },
    ...change,
  };
}

function placeWith(name: string, change: NodeJS.ProcessEnv = {}): Promise<BackupPlace> {
  const { signal } = new AbortController();
  const input = { options: {}, environment: environment(change), workingDirectory: "/", signal };
  return s3Place(input as unknown as CommandInput, name, PART_BYTES);
}

async function write(place: BackupPlace, content: Buffer): Promise<void> {
  const sink = await place.begin();
  // Not in the size of parts.
  for (let at = 0; at < content.length; at += 100_000) {
    await sink.write(content.subarray(at, at + 100_000));
  }
  await sink.finish();
}

async function readAll(place: BackupPlace): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(place.read()));
}

async function uploadsLeft(): Promise<number> {
  const { text } = await storage.ask("GET", "/bucket?uploads");
  return text.split("<Upload>").length - 1;
}

test("what is written in parts comes back byte by byte, and is not overwritten", async () => {
  for (const bytes of [0, 1, PART_BYTES, 2 * PART_BYTES + 12_345]) {
    const content = randomBytes(bytes);
    const place = await placeWith(`s3://bucket/some folder/${bytes}+(a)&é`);
    await write(place, content);
    assert.ok((await readAll(place)).equals(content), `${bytes} bytes`);
    await assert.rejects(place.begin(), /exists already: name another/);
    assert.equal(await uploadsLeft(), 0);
  }
});

test("nothing has the name before the end, and nothing is left of what was abandoned", async () => {
  const place = await placeWith("s3://bucket/abandoned");
  const sink = await place.begin();
  await sink.write(randomBytes(2 * PART_BYTES + 1));
  assert.equal((await storage.ask("GET", "/bucket/abandoned")).status, 404);
  assert.equal(await uploadsLeft(), 1);
  await sink.abandon();
  assert.equal(await uploadsLeft(), 0);
  assert.equal((await storage.ask("GET", "/bucket/abandoned")).status, 404);
});

test("of two who write one name, the second gives up, and the first one's content stays", async () => {
  const [one, two] = [await placeWith("s3://bucket/race"), await placeWith("s3://bucket/race")];
  const sinks = [await one.begin(), await two.begin()] as const;
  for (const [index, sink] of sinks.entries()) await sink.write(Buffer.from(`content ${index}`));
  await sinks[0].finish();
  await assert.rejects(sinks[1].finish(), /exists already/);
  await sinks[1].abandon();
  assert.equal((await readAll(one)).toString(), "content 0");
});

test("a wire that is cut again and again costs time, not content", async () => {
  const content = randomBytes(3 * PART_BYTES + 5);
  const up = await cutWire(storage, { cuts: 3, bytes: PART_BYTES / 2 });
  const name = "s3://bucket/over-cuts";
  await write(await placeWith(name, { AWS_ENDPOINT_URL: up.endpoint }), content);
  assert.equal(up.cuts(), 3);
  up.close();
  const down = await cutWire(storage, { cuts: 3, bytes: PART_BYTES / 2 });
  const read = await readAll(await placeWith(name, { AWS_ENDPOINT_URL: down.endpoint }));
  assert.equal(down.cuts(), 3);
  down.close();
  assert.ok(read.equals(content));
});

test("an object that is replaced while it is read is no longer read", async () => {
  const place = await placeWith("s3://bucket/replaced");
  await write(place, randomBytes(2 * PART_BYTES));
  const wire = await cutWire(storage, { cuts: 1, bytes: PART_BYTES });
  const reading = (await placeWith("s3://bucket/replaced", { AWS_ENDPOINT_URL: wire.endpoint }))
    .read()
    [Symbol.asyncIterator]();
  await reading.next();
  assert.equal((await storage.ask("DELETE", "/bucket/replaced")).status, 204);
  await write(place, randomBytes(2 * PART_BYTES));
  await assert.rejects(async () => {
    while ((await reading.next()).done !== true);
  }, /412/);
  wire.close();
});

const REFUSALS: readonly (readonly [string, string, NodeJS.ProcessEnv, string, RegExp])[] = [
  ["a bucket that is not there", "s3://nobody/x", {}, "storage_refused", /no bucket nobody at 127/],
  [
    "a wrong secret",
    "s3://bucket/x",
    { AWS_SECRET_ACCESS_KEY: "wrong" },
    "storage_refused",
    /does not accept the credentials of the key test:tester \(SignatureDoesNotMatch\)/,
  ],
  [
    "a key without rights",
    "s3://bucket/x",
    { AWS_ACCESS_KEY_ID: GUEST.id, AWS_SECRET_ACCESS_KEY: GUEST.secret },
    "storage_refused",
    /does not allow the key test:guest to use s3:\/\/bucket\/x/,
  ],
  [
    "an authority that is not trusted",
    "s3://bucket/x",
    { AWS_CA_BUNDLE: "" },
    "storage_refused",
    /certificate of 127.* is not trusted \(\w+\): --s3-ca FILE/,
  ],
];

for (const [what, name, change, code, words] of REFUSALS) {
  test(`${what} is refused in words, before anything is sent`, async () => {
    await assert.rejects(
      async () => (await placeWith(name, change)).begin(),
      (error) => {
        assert.ok(error instanceof ProtocolError);
        assert.equal(error.code, code, error.message);
        assert.match(error.message, words);
        assert.ok(!JSON.stringify([error.message, error.details]).includes(OWNER.secret));
        return true;
      },
    );
  });
}

test("a storage without TLS is told apart from one that is not there", async (context) => {
  const plain = createServer((_, response) => response.end());
  context.after(() => plain.close());
  await once(plain.listen(0, "127.0.0.1"), "listening");
  const address = plain.address();
  assert.ok(typeof address === "object" && address !== null);
  const place = await placeWith("s3://bucket/x", {
    AWS_ENDPOINT_URL: `https://127.0.0.1:${address.port}`,
  });
  await assert.rejects(place.begin(), /does not speak TLS: is the endpoint http:/);
});

test("a clock that is off is named as such", async () => {
  const place = await placeWith("s3://bucket/late");
  const now = Date.now() - 3 * 3_600_000;
  mock.timers.enable({ apis: ["Date"], now });
  try {
    await assert.rejects(place.begin(), (error) => {
      assert.ok(error instanceof ProtocolError);
      assert.equal(error.code, "clock_skew", error.message);
      assert.match(error.message, /clock is 180 min behind that of 127/);
      return true;
    });
  } finally {
    mock.timers.reset();
  }
});

interface Said {
  readonly code: number;
  readonly text: string;
}

const MAIN = ["--disable-warning=ExperimentalWarning", join(ROOT, "packages/cli/src/main.ts")];

function berth(dataDir: string, words: readonly string[], change: NodeJS.ProcessEnv = {}) {
  const { PATH } = process.env;
  const env = { PATH, HOME: storage.folder, BERTH_DATA: dataDir, ...change };
  return new Promise<Said>((resolve) => {
    execFile(process.execPath, [...MAIN, ...words], { env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 128;
      resolve({ code, text: stdout + stderr });
    });
  });
}

test("a whole cluster is backed up to S3 and restored from there", async (context) => {
  const [old, fresh] = [join(storage.folder, "old"), join(storage.folder, "fresh")];
  mkdirSync(old);
  const server = await startServerProcess({
    ...{ dataDir: old, nodeName: "host-1", store: { url: "embedded" } },
  });
  context.after(() => server.kill());
  const settings = { port: Number(new URL(server.url).port), node: "host-1" };
  writeFileSync(join(old, "platform.json"), JSON.stringify(settings), { mode: 0o600 });
  const keyFile = join(storage.folder, "backup.key");
  writeFileSync(keyFile, randomBytes(32));
  const credentials = join(storage.folder, "credentials");
  const lines = ["[default]", `aws_access_key_id = ${OWNER.id}`, "aws_secret_access_key = wrong"];
  lines.push("[backups]", `aws_access_key_id=${OWNER.id}`);
  writeFileSync(credentials, `${lines.join("\n")}\naws_secret_access_key = ${OWNER.secret}\n`);
  const place = ["s3://bucket/cluster.backup", "--key-file", keyFile];
  const where = ["--s3-endpoint", storage.endpoint, "--s3-ca", storage.authorityFile];
  const words = [...place, ...where, "--s3-credentials", credentials];

  const wrong = await berth(old, ["platform", "backup", ...words]);
  assert.notEqual(wrong.code, 0);
  assert.equal((await storage.ask("GET", "/bucket/cluster.backup")).status, 404);
  const profile = { AWS_PROFILE: "backups" };
  const made = await berth(old, ["platform", "backup", ...words], profile);
  assert.equal(made.code, 0, made.text);
  assert.match(made.text, /s3:\/\/bucket\/cluster.backup is whole: \d+ entries/);
  assert.ok(!`${wrong.text}${made.text}`.includes(OWNER.secret));
  const again = await berth(old, ["platform", "backup", ...words], profile);
  assert.match(again.text, /exists already/);
  await server.stop();
  const restored = await berth(fresh, ["platform", "restore", ...words, "--yes"], profile);
  assert.equal(restored.code, 0, restored.text);
  for (const file of ["admin.token", "secret.key"]) {
    assert.deepEqual(readFileSync(join(fresh, file)), readFileSync(join(old, file)), file);
  }
});

const COMPOSE = `services:
  db:
    image: berth/busybox
    command: ["sleep", "1000000"]
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    x-berth: { min_healthy: 100ms, drain: 0s }
volumes: { data: {} }
`;

test("a volume goes to S3 in parts and comes back; a command that is killed leaves no backup", async (context) => {
  const platform = await TestPlatform.start();
  context.after(() => platform.uninstall());
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
  const { code, stdout, stderr } = await platform.deploy("keep", COMPOSE);
  assert.equal(code, 0, stdout + stderr);
  const inside = (command: string) => platform.must("exec", "keep/db", "sh", "-c", command);
  // More than one part of the real size.
  await inside("dd if=/dev/urandom of=/data/big bs=1M count=70 2>/dev/null; chown 7:8 /data/big");
  const look = "ls -ln /data && md5sum /data/big";
  const whole = await inside(look);
  Object.assign(platform.environment, environment());

  const killed = spawn(
    join(ROOT, "berth"),
    ["volume", "backup", "keep/data", "--to", "s3://bucket/killed.tar", "--live"],
    { env: platform.environment, stdio: "ignore", detached: true },
  );
  await eventually("it has begun", async () => (await uploadsLeft()) === 1);
  const gone = once(killed, "exit");
  process.kill(-(killed.pid ?? 0), "SIGKILL");
  await gone;
  assert.equal((await storage.ask("GET", "/bucket/killed.tar")).status, 404);

  const to = ["--to", "s3://bucket/keep.tar", "--yes"];
  const said = await platform.must("volume", "backup", "keep/data", ...to);
  assert.match(said, /s3:\/\/bucket\/keep.tar: 70\S* MiB, sha256:/);
  await inside("rm /data/big; echo other > /data/other");
  const missing = await platform.berth(
    "volume",
    "restore",
    "keep/data",
    "--from",
    "s3://bucket/no",
    "--yes",
  );
  assert.match(missing.stderr, /there is no s3:\/\/bucket\/no/);
  assert.match(await inside("cat /data/other"), /other/);
  await platform.must("volume", "restore", "keep/data", "--from", "s3://bucket/keep.tar", "--yes");
  await eventually("the content is there again", async () => (await inside(look)) === whole);
  const sha = createHash("sha256").update(whole).digest("hex");
  context.diagnostic(`70 MiB there and back: ${said.trim()} ${sha.slice(0, 8)}`);
});
