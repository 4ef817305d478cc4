/**
 * Ways from Node to etcd, side by side: our own client over `node:http2`, etcd's JSON gateway over
 * `node:http`, `@grpc/grpc-js` as transport of our messages, and the npm package `etcd3`. The last two are
 * no dependencies: they are measured when they can be found from the directory given with `--modules`
 * (`npm install --prefix DIRECTORY etcd3 @grpc/grpc-js`).
 *
 * Each way is measured in rounds that are interleaved, against one etcd member, with puts of 1 KB and with
 * transactions of 100 such puts. Every cell ends with a count of what is stored.
 *
 * `node packages/control-plane/bench/etcd-clients.bench.ts [--rounds 3] [--seconds 2] [--modules DIR]`
 */

import { Agent, request } from "node:http";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { assert, present, silentLogger, systemClock } from "@berth/base";
import { startEtcd } from "../e2e/etcd-lab.ts";
import { EtcdClient } from "../src/store/etcd-client.ts";
import {
  decodeRange,
  decodeTxn,
  encodeRange,
  encodeTxn,
  METHODS,
} from "../src/store/etcd-messages.ts";

interface Way {
  /** Puts all keys in one transaction. */
  readonly put: (keys: readonly string[], value: string) => Promise<void>;
  readonly close: () => void;
}

type OpenWay = (url: string) => Way | undefined;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    modules: { type: "string" },
  },
});

const VALUE = JSON.stringify("x".repeat(1_000));
const LOADS = [
  { name: "1 put, 1 writer", writers: 1, keys: 1 },
  { name: "1 put, 100 writers", writers: 100, keys: 1 },
  { name: "100 puts, 4 writers", writers: 4, keys: 100 },
] as const;

const WAYS: Readonly<Record<string, OpenWay>> = {
  "our client (node:http2)": ownClient,
  "JSON gateway (node:http)": gateway,
  "@grpc/grpc-js, our messages": grpcJs,
  etcd3,
};

function ownClient(url: string): Way {
  const client = new EtcdClient({ endpoints: [url], clock: systemClock, log: silentLogger });
  return {
    put: async (keys, value) => {
      const reply = await client.call(METHODS.txn, txnOf(keys, value), { isWrite: true });
      assert(reply.ok && decodeTxn(reply.message).succeeded, "the write is taken");
    },
    close: () => client.close(),
  };
}

function gateway(url: string): Way {
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  const encoded = (text: string) => Buffer.from(text).toString("base64");
  return {
    put: async (keys, value) => {
      const success = keys.map((key) => ({
        requestPut: { key: encoded(key), value: encoded(value) },
      }));
      const answer = await post(agent, `${url}/v3/kv/txn`, JSON.stringify({ success }));
      assert(JSON.parse(answer).succeeded === true, "the write is taken");
    },
    close: () => agent.destroy(),
  };
}

function post(agent: Agent, url: string, body: string): Promise<string> {
  return new Promise((done, failed) => {
    const sent = request(url, { agent, method: "POST" }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => done(Buffer.concat(chunks).toString()));
    });
    sent.on("error", failed);
    sent.end(body);
  });
}

function grpcJs(url: string): Way | undefined {
  const grpc = optional("@grpc/grpc-js");
  if (grpc === undefined) return undefined;
  const client = new grpc.Client(new URL(url).host, grpc.credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  return {
    put: (keys, value) =>
      new Promise((done, failed) => {
        const answered = (error: unknown, message: Buffer) => {
          if (error) failed(error);
          else done(assert(decodeTxn(message).succeeded, "the write is taken"));
        };
        client.makeUnaryRequest(METHODS.txn, same, same, txnOf(keys, value), answered);
      }),
    close: () => client.close(),
  };
}

function etcd3(url: string): Way | undefined {
  const library = optional("etcd3");
  if (library === undefined) return undefined;
  const client = new library.Etcd3({ hosts: url });
  return {
    put: async (keys, value) => {
      const puts = keys.map((key) => client.put(key).value(value));
      const answer = await client
        .if("absent", "Version", "==", 0)
        .then(...puts)
        .commit();
      assert(answer.succeeded === true, "the write is taken");
    },
    close: () => client.close(),
  };
}

/** A package that this repository does not have; its types are its own business. */
// biome-ignore lint/suspicious/noExplicitAny: the package may not be there, and so are its types
function optional(name: string): any {
  if (flags.modules === undefined) return undefined;
  try {
    return createRequire(join(resolve(flags.modules), "node_modules/"))(name);
  } catch {
    return undefined;
  }
}

function txnOf(keys: readonly string[], value: string): Buffer {
  const then = keys.map((key) => ({ kind: "put", key, value, lease: 0 }) as const);
  return encodeTxn({ compare: [], then, otherwise: [] });
}

interface Cell {
  readonly way: string;
  readonly load: string;
  readonly putsPerSecond: number;
  readonly ackMsP50: number;
  readonly ackMsP99: number;
  readonly cpuMicrosPerPut: number;
}

async function measure(url: string, way: string, load: (typeof LOADS)[number], round: number) {
  const opened = present(WAYS[way], "a way of the table")(url);
  if (opened === undefined) return undefined;
  const prefix = `/${way}/${load.name}/${round}/`;
  const latenciesMs: number[] = [];
  // Connections are made before the clock runs.
  await opened.put([`/warm/${way}`], VALUE);
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const end = start + Number(flags.seconds) * 1_000;
  const write = async (_: unknown, writer: number) => {
    for (let index = 0; performance.now() < end; index++) {
      const begun = performance.now();
      const keys = Array.from(
        { length: load.keys },
        (_, key) => `${prefix}${writer}/${index}/${key}`,
      );
      await opened.put(keys, VALUE);
      latenciesMs.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: load.writers }, write));
  const seconds = (performance.now() - start) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  opened.close();
  const puts = latenciesMs.length * load.keys;
  assert((await stored(url, prefix)) === puts, `${puts} acknowledged puts are stored`);
  latenciesMs.sort((a, b) => a - b);
  const at = (share: number) => latenciesMs[Math.floor(latenciesMs.length * share)] ?? Number.NaN;
  return {
    way,
    load: load.name,
    putsPerSecond: puts / seconds,
    ackMsP50: at(0.5),
    ackMsP99: at(0.99),
    cpuMicrosPerPut: (cpu.user + cpu.system) / puts,
  } satisfies Cell;
}

async function stored(url: string, prefix: string): Promise<number> {
  const client = new EtcdClient({ endpoints: [url], clock: systemClock, log: silentLogger });
  let count = 0;
  let key = prefix;
  for (;;) {
    const message = encodeRange({ key, end: `${prefix.slice(0, -1)}0`, limit: 5_000 });
    const reply = await client.call(METHODS.range, message, { isWrite: false });
    if (!reply.ok) throw reply.error;
    const page = decodeRange(reply.message);
    count += page.entries.length;
    if (!page.more) break;
    key = `${page.entries.at(-1)?.key}\0`;
  }
  client.close();
  return count;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const lab = await startEtcd({ words: ["--quota-backend-bytes", "8000000000"] });
const cells: Cell[] = [];
try {
  const [url = ""] = lab.endpoints;
  for (let round = 0; round < Number(flags.rounds); round++) {
    for (const load of LOADS) {
      for (const way of Object.keys(WAYS)) {
        const cell = await measure(url, way, load, round);
        if (cell !== undefined) cells.push(cell);
      }
    }
  }
} finally {
  await lab.stop();
}
for (const load of LOADS) {
  for (const way of Object.keys(WAYS)) {
    const mine = cells.filter((cell) => cell.way === way && cell.load === load.name);
    if (mine.length === 0) continue;
    const figure = (name: keyof Omit<Cell, "way" | "load">) =>
      median(mine.map((cell) => cell[name]));
    console.log(
      [
        load.name.padEnd(20),
        way.padEnd(28),
        `${Math.round(figure("putsPerSecond"))} puts/s`.padStart(15),
        `ack p50/p99 ${figure("ackMsP50").toFixed(2)}/${figure("ackMsP99").toFixed(2)} ms`.padEnd(
          28,
        ),
        `client cpu ${figure("cpuMicrosPerPut").toFixed(0)} us a put`,
      ].join("  "),
    );
  }
}
