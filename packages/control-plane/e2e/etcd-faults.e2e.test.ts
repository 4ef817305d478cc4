/** What etcd does to its clients: members die, the majority is lost, the database is full, history is cut. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { silentLogger, systemClock } from "@berth/base";
import { change, eventsOf, put, watched } from "../src/store/contract-subject.ts";
import { copyStore } from "../src/store/copy-store.ts";
import { StoreError } from "../src/store/errors.ts";
import { type EtcdStoreOptions, openEtcdStore } from "../src/store/etcd.ts";
import { EtcdClient } from "../src/store/etcd-client.ts";
import { encodeTxn, METHODS } from "../src/store/etcd-messages.ts";
import { ProtoWriter } from "../src/store/etcd-protobuf.ts";
import type { Store } from "../src/store/port.ts";
import { openSqliteStore } from "../src/store/sqlite.ts";
import { type EtcdLab, type EtcdLabOptions, startEtcd } from "./etcd-lab.ts";

const run = promisify(execFile);
const WORLD = { clock: systemClock, log: silentLogger } as const;

async function startLab(context: TestContext, options?: EtcdLabOptions): Promise<EtcdLab> {
  const lab = await startEtcd(options);
  context.after(() => lab.stop());
  return lab;
}

async function open(
  context: TestContext,
  endpoints: readonly string[],
  options: Partial<EtcdStoreOptions> = {},
): Promise<Store> {
  const store = await openEtcdStore({ endpoints, ...WORLD, ...options });
  context.after(() => store.close());
  return store;
}

/** Counts up in `store`, each step once, whatever ends unknown or is refused on the way. */
async function countTo(store: Store, writer: number, steps: number): Promise<void> {
  for (let step = 0; step < steps; ) {
    try {
      const done = await store.get(`done/${writer}/${step}`);
      if (done.entry !== undefined) {
        step++;
        continue;
      }
      const { entry } = await store.get("counter");
      const [counter, mark] = ["counter", `done/${writer}/${step}`];
      await store.txn({
        compare: [
          { key: counter, target: "modRevision", op: "=", value: entry?.modRevision ?? 0 },
          { key: mark, target: "version", op: "=", value: 0 },
        ],
        then: [
          { kind: "put", key: counter, value: String(Number(entry?.value ?? 0) + 1) },
          { kind: "put", key: mark, value: "1" },
        ],
      });
    } catch (error) {
      assert(error instanceof StoreError, String(error));
    }
  }
}

test("each of three members may die in turn: nothing is lost, doubled or left out", async (context) => {
  const lab = await startLab(context, { members: 3 });
  const store = await open(context, lab.endpoints);
  const writers = [0, 1, 2, 3].map((writer) => countTo(store, writer, 60));
  for (const member of lab.members) {
    const seen = (await store.get("counter")).entry?.value ?? "0";
    await member.kill();
    await risen(store, seen);
    member.start();
    await risen(store, (await store.get("counter")).entry?.value ?? "0");
  }
  await Promise.all(writers);
  const { entry, revision } = await store.get("counter");
  assert.equal(entry?.value, "240");
  const events = eventsOf(await watched(store, "counter", 1, revision));
  assert.deepEqual(
    events.map((event) => event.type === "put" && event.entry.value),
    Array.from({ length: 240 }, (_, index) => String(index + 1)),
  );
});

/** Resolves when the counter is above `value`, or at its end: writes are taken. */
async function risen(store: Store, value: string): Promise<void> {
  for (;;) {
    const read = await store.get("counter").catch(() => undefined);
    const now = Number(read?.entry?.value ?? 0);
    if (now > Number(value) || now === 240) return;
  }
}

test("a member that stands still is left, and the watch goes on elsewhere", async (context) => {
  const lab = await startLab(context, { members: 3 });
  const store = await open(context, lab.endpoints);
  const watch = store.watch("", 1, new AbortController().signal)[Symbol.asyncIterator]();
  await put(store, "a", "1");
  assert.equal((await watch.next()).value?.revision, 1);
  lab.members[0]?.pause();
  try {
    const other = await open(context, lab.endpoints.slice(1));
    await put(other, "a", "2");
    assert.equal((await watch.next()).value?.revision, 2);
    assert.equal((await store.get("a")).entry?.value, "2");
  } finally {
    lab.members[0]?.resume();
  }
});

test("without a majority writes end with an error in bounded time, and go on with it", async (context) => {
  const lab = await startLab(context, { members: 3 });
  const store = await open(context, lab.endpoints);
  await put(store, "a", "1");
  await lab.members[0]?.kill();
  await lab.members[1]?.kill();
  await assert.rejects(put(store, "b", "1"), (error: unknown) => {
    return error instanceof StoreError && ["io", "unknown-outcome"].includes(error.storeCode);
  });
  await assert.rejects(store.get("a"), { storeCode: "io" });
  lab.members[0]?.start();
  for (;;) {
    if (await put(store, "c", "1").catch(() => undefined)) break;
  }
  assert.equal((await store.get("a")).entry?.value, "1");
});

test("a full etcd refuses writes with that word, and reads go on", async (context) => {
  const lab = await startLab(context, { words: ["--quota-backend-bytes", "8000000"] });
  const store = await open(context, lab.endpoints);
  const value = JSON.stringify("x".repeat(1_000_000));
  const fill = async () => {
    for (let index = 0; index < 20; index++) await put(store, `k/${index}`, value);
  };
  await assert.rejects(fill(), { storeCode: "disk-full", code: "storage_full" });
  assert.equal((await store.get("k/0")).entry?.value, value);
});

test("TLS on both sides and a user who may touch the cluster's prefix only", async (context) => {
  const files = await startLab(context);
  const tls = await makeCertificates(files.folder);
  const clientTls = {
    ca: await readFile(tls.ca),
    cert: await readFile(tls.cert),
    key: await readFile(tls.key),
  };
  const lab = await startLab(context, { tls, clientTls });
  await addUser(lab.endpoints, clientTls);
  const credentials = { user: "berth", password: "s3cret of berth" };
  const store = await open(context, lab.endpoints, { tls: clientTls, credentials });
  await change(store, { kind: "put", key: "a", value: "1" });
  assert.equal(eventsOf(await watched(store, "", 1, 1)).length, 1);

  const wrong = { ...credentials, password: "another" };
  const refused = { storeCode: "io" };
  await assert.rejects(
    open(context, lab.endpoints, { tls: clientTls, credentials: wrong }),
    refused,
  );
  const elsewhere = { tls: clientTls, credentials, prefix: "/other/" };
  await assert.rejects(open(context, lab.endpoints, elsewhere), refused);
  await assert.rejects(open(context, lab.endpoints, { tls: { ca: clientTls.ca } }), refused);
  // Members restart, and forget their tokens with it.
  await lab.members[0]?.kill();
  lab.members[0]?.start();
  assert.equal((await store.get("a")).entry?.value, "1");
});

/** A CA, and one certificate that serves members and clients alike. */
async function makeCertificates(folder: string) {
  const path = (name: string) => join(folder, name);
  const openssl = (...words: string[]) => run("openssl", words);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const ca = ["-keyout", path("ca.key"), "-out", path("ca.pem"), "-subj", "/CN=test authority"];
  await openssl("req", "-x509", ...key, ...ca);
  const names = ["-addext", "subjectAltName=IP:127.0.0.1", "-subj", "/O=test"];
  const signed = ["-CA", path("ca.pem"), "-CAkey", path("ca.key")];
  const request = ["-keyout", path("a.key"), "-out", path("a.csr"), ...names];
  await openssl("req", ...key, ...request);
  const sign = ["-in", path("a.csr"), "-out", path("a.pem"), "-CAcreateserial"];
  await openssl("x509", "-req", "-copy_extensions", "copyall", ...signed, ...sign);
  return { ca: path("ca.pem"), cert: path("a.pem"), key: path("a.key") };
}

/** Turns on authentication, with a user `berth` who owns `/berth/`. */
async function addUser(endpoints: readonly string[], tls: EtcdStoreOptions["tls"]): Promise<void> {
  const client = new EtcdClient({ endpoints, ...WORLD, ...(tls === undefined ? {} : { tls }) });
  const call = async (method: string, write: (writer: ProtoWriter) => void) => {
    const writer = new ProtoWriter();
    write(writer);
    const path = `/etcdserverpb.Auth/${method}`;
    const reply = await client.call(path, writer.finish(), { isWrite: true });
    if (!reply.ok) throw reply.error;
  };
  const pair = (first: string, second: string) => (writer: ProtoWriter) => {
    writer.text(1, first);
    writer.text(2, second);
  };
  await call("UserAdd", pair("root", "root's"));
  await call("RoleAdd", (writer) => writer.text(1, "root"));
  await call("UserGrantRole", pair("root", "root"));
  await call("UserAdd", pair("berth", "s3cret of berth"));
  await call("RoleAdd", (writer) => writer.text(1, "berth"));
  await call("RoleGrantPermission", (writer) => {
    writer.text(1, "berth");
    writer.message(2, (permission) => {
      permission.uint(1, 2);
      permission.text(2, "/berth/");
      permission.text(3, "/berth0");
    });
  });
  await call("UserGrantRole", pair("berth", "berth"));
  await call("AuthEnable", () => {});
  client.close();
}

test("history that is cut while the server is away ends its watches with a clear answer", async (context) => {
  const lab = await startLab(context);
  const proxy = await cuttable(context, lab.endpoints[0] ?? "");
  const store = await open(context, [proxy.url]);
  const watch = store.watch("", 1, new AbortController().signal)[Symbol.asyncIterator]();
  await put(store, "a", "1");
  await watch.next();
  const next = assert.rejects(Promise.resolve(watch.next()), { storeCode: "compacted" });
  const other = await open(context, lab.endpoints);
  proxy.cut();
  for (const value of ["2", "3", "4"]) await put(other, "a", value);
  await other.compact(3);
  proxy.mend();
  await next;
  assert.deepEqual(
    eventsOf(await watched(store, "", 4, 4)).map((event) => event.revision),
    [4],
  );
});

/** A way to `target` that can be cut, for connections that exist and new ones. */
async function cuttable(context: TestContext, target: string) {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((inner) => {
    if (isCut) {
      inner.destroy();
      return;
    }
    const outer = connect(Number(port), hostname);
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    }
    inner.pipe(outer).pipe(inner);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    cut: () => {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend: () => {
      isCut = false;
    },
  };
}

test("writes that come together go together, and each is told its own result", async (context) => {
  const lab = await startLab(context);
  const store = await open(context, lab.endpoints);
  const results = await Promise.all(
    Array.from({ length: 500 }, (_, index) =>
      store.txn({
        compare: [{ key: "absent", target: "version", op: index % 2 ? "=" : ">", value: 0 }],
        then: [{ kind: "put", key: `k/${index}`, value: String(index) }],
        otherwise: [{ kind: "get", key: "other" }],
      }),
    ),
  );
  assert.deepEqual(
    results.map((result) => result.succeeded),
    results.map((_, index) => index % 2 === 1),
  );
  const { entries, revision } = await store.list("k/");
  assert.equal(entries.length, 250);
  assert(revision < 50, `${revision} revisions for 250 writes`);
  assert.equal(eventsOf(await watched(store, "k/", 1, revision)).length, 250);
});

test("others' writes in the same etcd delay a watch and do not stop it", async (context) => {
  const lab = await startLab(context);
  const store = await open(context, lab.endpoints);
  await put(store, "a", "1");
  const client = new EtcdClient({ endpoints: lab.endpoints, ...WORLD });
  context.after(() => client.close());
  const foreign = { kind: "put", key: "/foreign", value: "1", lease: 0 } as const;
  const message = encodeTxn({ compare: [], then: [foreign], otherwise: [] });
  for (let count = 0; count < 3; count++)
    await client.call(METHODS.txn, message, { isWrite: true });
  const { revision } = await store.get("a");
  assert.equal(revision, 4);
  const batches = await watched(store, "", 2, revision);
  assert.deepEqual(eventsOf(batches), []);
});

test("a cluster goes from SQLite to etcd and back, and a snapshot of etcd is a file", async (context) => {
  const lab = await startLab(context);
  const etcd = await open(context, lab.endpoints);
  const openFile = async (name: string) => {
    const store = await openSqliteStore({ path: join(lab.folder, name), ...WORLD });
    context.after(() => store.close());
    return store;
  };
  const first = await openFile("first.db");
  for (let index = 0; index < 300; index++) await put(first, `k/${index}`, `"${index} ü"`);
  const content = async (store: Store) =>
    (await store.list("", { limit: 1_000 })).entries.map(({ key, value }) => [key, value]);
  assert.equal((await copyStore(first, etcd)).entries, 300);
  assert.deepEqual(await content(etcd), await content(first));
  const back = await openFile("back.db");
  await copyStore(etcd, back);
  assert.deepEqual(await content(back), await content(first));
  await etcd.snapshot(join(lab.folder, "snapshot.db"));
  assert.deepEqual(await content(await openFile("snapshot.db")), await content(first));
});
