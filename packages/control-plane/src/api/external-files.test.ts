/** Secrets and configs of an environment: made, changed, deployed with, refused to be removed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "@berth/base";
import { EXTERNAL_FILES_MAX, keys, ProtocolError, type StackSpec } from "@berth/protocol";
import {
  entriesOf,
  nodeRow,
  releaseRow,
  SCOPE,
  serviceSpec,
  settled,
  stackRow,
  stackSpec,
  startFixture,
} from "./api-fixture.ts";

const SECRET = { project: SCOPE.project, environment: SCOPE.environment, kind: "secret" };
const CONFIG = { ...SECRET, kind: "config" };

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

async function setUp() {
  const clock = new ManualClock();
  const fixture = await startFixture({ clock });
  await fixture.put(keys.node("node-1"), nodeRow("node-1"));
  const admin = fixture.client();
  const run = <T>(promise: Promise<T>) => settled(clock, promise);
  const put = (how: "create" | "update", params: typeof SECRET, external: string, text: string) =>
    run(
      admin.call("putExternalFile", {
        params: { ...params, external },
        body: { how, content: base64(text) },
      }),
    );
  const deploy = (spec: StackSpec) =>
    run(admin.call("deployStack", { params: SCOPE, body: { spec } }));
  return { fixture, admin, run, put, deploy };
}

function isCode(code: string, pattern = /./) {
  return (error: unknown) =>
    error instanceof ProtocolError && error.code === code && pattern.test(error.message);
}

const FILE = { target: "/run/secrets/db", uid: 0, gid: 0, mode: 0o444 };

/** A stack that uses the secret `db_password` and the config `app_conf` of the environment. */
function spec(): StackSpec {
  const web = serviceSpec({
    secrets: [{ ...FILE, name: "db" }],
    configs: [{ ...FILE, name: "app", target: "/app" }],
  });
  return {
    ...stackSpec({ services: { web } }),
    secrets: { db: { external: { name: "db_password" } } },
    configs: { app: { external: { name: "app_conf" } } },
  };
}

test("contents lie sealed; a list, an answer and a description have none", async () => {
  const { fixture, admin, put, run } = await setUp();
  const made = await put("create", SECRET, "db_password", "pa ss");
  await put("create", CONFIG, "app_conf", "listen 80");
  const list = await run(admin.call("listExternalFiles", { params: SECRET }));
  const one = await run(
    admin.call("getExternalFile", { params: { ...SECRET, external: "db_password" } }),
  );
  assert.deepEqual([list.items, one], [[made], made]);
  assert.deepEqual(made.versions, [
    { number: 1, sizeBytes: 5, createdAt: made.createdAt, createdBy: "admin" },
  ]);
  const stored = JSON.stringify((await fixture.store.list("")).entries);
  assert.ok(!stored.includes("pa ss") && !stored.includes(base64("pa ss")));
  const content = (params: typeof SECRET, external: string) =>
    run(admin.call("getExternalContent", { params: { ...params, external } }));
  assert.deepEqual(await content(CONFIG, "app_conf"), { content: base64("listen 80") });
  await assert.rejects(content(SECRET, "db_password"), isCode("invalid_request", /to nobody/));
});

test("another content is another version, the same is none; names of both kinds are apart", async () => {
  const { put } = await setUp();
  await put("create", SECRET, "key", "one");
  assert.equal((await put("update", SECRET, "key", "one")).versions.length, 1);
  const { versions } = await put("update", SECRET, "key", "two!");
  assert.deepEqual(
    versions.map(({ number, sizeBytes }) => [number, sizeBytes]),
    [
      [1, 3],
      [2, 4],
    ],
  );
  await assert.rejects(
    put("create", SECRET, "key", "three"),
    isCode("already_exists", /berth secret update key/),
  );
  await assert.rejects(put("update", CONFIG, "key", "three"), isCode("not_found"));
  for (let index = 0; index < 25; index++) await put("update", SECRET, "key", `text ${index}`);
  const last = await put("update", SECRET, "key", "last");
  assert.deepEqual([last.versions.length, last.versions.at(-1)?.number], [20, 28]);
});

test("more than the limits are refused", async () => {
  const { fixture, put } = await setUp();
  await assert.rejects(
    put("create", SECRET, "large", "x".repeat(500 * 1024 + 1)),
    isCode("limit_exceeded", /secret large has 512001 bytes, at most 512000/),
  );
  await assert.rejects(put("create", SECRET, "-dash", "x"), isCode("invalid_request"));
  for (let index = 0; index < EXTERNAL_FILES_MAX; index++) {
    const row = { createdAt: 1, versions: [] };
    await fixture.put(keys.external(SCOPE, "secret", `s${index}`), row);
  }
  await assert.rejects(put("create", SECRET, "one-more", "x"), isCode("limit_exceeded", /500/));
});

test("a deploy takes the newest content into its stack and says which version that was", async () => {
  const { fixture, put, deploy } = await setUp();
  await put("create", SECRET, "db_password", "first");
  await put("create", CONFIG, "app_conf", "listen 80");
  const one = await deploy(spec());
  await put("update", SECRET, "db_password", "second");
  const two = await deploy(spec());
  assert.deepEqual(
    [one.secrets["db"]?.external, two.secrets["db"]?.external],
    [
      { name: "db_password", version: 1 },
      { name: "db_password", version: 2 },
    ],
  );
  assert.notEqual(one.secrets["db"]?.version, two.secrets["db"]?.version);
  assert.equal((await entriesOf(fixture.store, "secret")).length, 2);
  const { digest = "", external } = two.spec.configs["app"] ?? {};
  assert.deepEqual(external, { name: "app_conf", version: 1 });
  const bytes = await fixture.blobs.read(digest);
  assert.ok(bytes !== undefined);
  assert.equal(Buffer.concat(await Array.fromAsync(bytes)).toString(), "listen 80");
});

test("what is not there is refused with its place and the nearest name; a refusal leaves nothing", async () => {
  const { fixture, put, deploy } = await setUp();
  await put("create", SECRET, "db_pasword", "first");
  await assert.rejects(deploy(spec()), (error: unknown) => {
    assert.ok(error instanceof ProtocolError && error.code === "invalid_stack");
    const create = "berth config-file create app_conf makes one";
    assert.deepEqual(error.details["problems"], [
      {
        path: "configs.app",
        message: `environment default/main has no config "app_conf" (${create})`,
      },
      {
        path: "secrets.db",
        message:
          'environment default/main has no secret "db_password"; did you mean db_pasword? (berth secret create db_password makes one)',
      },
    ]);
    return true;
  });
  assert.deepEqual(await entriesOf(fixture.store, "secret"), []);
});

test("a plan writes nothing", async () => {
  const { fixture, admin, put, run } = await setUp();
  await put("create", SECRET, "db_password", "first");
  await put("create", CONFIG, "app_conf", "listen 80");
  await run(admin.call("planStack", { params: SCOPE, body: { spec: spec() } }));
  assert.deepEqual(await entriesOf(fixture.store, "secret"), []);
  assert.deepEqual(await Array.fromAsync(fixture.blobs.list()), []);
});

test("what a stack uses is not removed: of its current release, and while it is being deployed", async () => {
  const { fixture, admin, put, run, deploy } = await setUp();
  await put("create", SECRET, "db_password", "first");
  await put("create", CONFIG, "app_conf", "listen 80");
  const remove = (params: typeof SECRET, external: string) =>
    run(admin.call("removeExternalFile", { params: { ...params, external } }));
  const { id } = await deploy(spec());
  await assert.rejects(remove(CONFIG, "app_conf"), isCode("still_in_use", /used by shop/));
  await run(
    fixture.store.txn({ compare: [], then: [{ kind: "delete", key: keys.deployment(SCOPE, id) }] }),
  );
  await fixture.put(keys.stack(SCOPE), stackRow());
  const external = { name: "db_password", version: 1 };
  await fixture.put(
    keys.release(SCOPE, 1),
    releaseRow({ secrets: { db: { version: "v", external } } }),
  );
  await assert.rejects(remove(SECRET, "db_password"), isCode("still_in_use", /used by shop/));
  const { items } = await run(admin.call("listExternalFiles", { params: SECRET }));
  assert.deepEqual(items[0]?.usedBy, [{ stack: "shop", release: 1, key: "db", version: 1 }]);
  await fixture.put(keys.release(SCOPE, 1), releaseRow());
  await remove(SECRET, "db_password");
  await remove(CONFIG, "app_conf");
  await assert.rejects(remove(SECRET, "db_password"), isCode("not_found"));
  assert.deepEqual(await entriesOf(fixture.store, "sealed"), []);
});
