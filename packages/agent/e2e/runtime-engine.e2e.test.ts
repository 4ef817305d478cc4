/** What only a real engine can show: addresses, processes, images behind our back, output over restarts. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { silentLogger, systemClock } from "@berth/base";
import { LogCapture } from "../src/logs/capture.ts";
import { DiskLogFiles } from "../src/logs/files.ts";
import { LogStore } from "../src/logs/store.ts";
import { rejectsWith, tarOf } from "../src/runtime/contract-subject.ts";
import { dockerRuntime } from "../src/runtime/docker.ts";
import { EngineClient } from "../src/runtime/docker-client.ts";
import { type ContainerRequest, LABEL_CLUSTER } from "../src/runtime/port.ts";
import { type Lab, openLab } from "./runtime-lab.ts";

const TIMEOUT = { timeoutMs: 60_000 };

describe("a real engine", () => {
  let lab: Lab;
  let count = 0;
  before(async () => {
    lab = await openLab(2);
  });
  after(() => lab.close());

  const request = (changes: Partial<ContainerRequest> = {}): ContainerRequest => ({
    name: `${lab.cluster}-${++count}`,
    labels: { [LABEL_CLUSTER]: lab.cluster },
    imageId: lab.image.imageId,
    command: ["sleep", "100000"],
    environment: {},
    engine: {},
    limits: {},
    mounts: [],
    network: { kind: "none" },
    stopGraceMs: 0,
    ...changes,
  });
  const run = async (changes: Partial<ContainerRequest> = {}) => {
    const { id } = await lab.runtime.createContainer(request(changes));
    await lab.runtime.startContainer(id);
    return id;
  };
  const inside = async (id: string, script: string) =>
    (await lab.runtime.runInside(id, ["sh", "-c", script], TIMEOUT)).output.trim();

  it("gives a container its addresses and MACs in all its networks", async () => {
    const second = {
      ...lab.network,
      id: `${lab.network.id.slice(0, 6)}ff`,
      bridge: `${lab.network.bridge}b`.slice(-15),
      subnet: lab.network.subnet.replace("10.251.", "10.250."),
      gateway: lab.network.gateway.replace("10.251.", "10.250."),
    };
    await lab.runtime.ensureNetwork(lab.network);
    await lab.runtime.ensureNetwork(second);
    const id = await run({
      network: {
        kind: "networks",
        attachments: [
          { networkId: lab.network.id, address: "10.251.2.9", mac: "02:42:0a:fb:02:09" },
          { networkId: second.id, address: "10.250.2.9", mac: "02:42:0a:fa:02:09" },
        ],
      },
    });
    const seen = await inside(id, "ip addr | grep -E 'inet |ether'");
    for (const text of ["10.251.2.9/", "10.250.2.9/", "02:42:0a:fb:02:09", "02:42:0a:fa:02:09"]) {
      assert.ok(seen.includes(text), seen);
    }
    await lab.runtime.removeContainer(id);
  });

  it("uses a resolv.conf that is given as a bind", async () => {
    const directory = await mkdtemp(join(tmpdir(), "berth-resolv-"));
    try {
      const { writeFile } = await import("node:fs/promises");
      const source = join(directory, "resolv.conf");
      await writeFile(source, "nameserver 10.251.2.1\noptions ndots:1\n");
      await lab.runtime.ensureNetwork(lab.network);
      const id = await run({
        mounts: [{ kind: "bind", source, target: "/etc/resolv.conf", readOnly: true }],
        network: {
          kind: "networks",
          attachments: [
            { networkId: lab.network.id, address: "10.251.2.10", mac: "02:42:0a:fb:02:0a" },
          ],
        },
      });
      assert.match(await inside(id, "cat /etc/resolv.conf"), /^nameserver 10\.251\.2\.1\n/);
      await lab.runtime.removeContainer(id);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("ends the process of a command that took too long", async () => {
    const id = await run();
    const command = ["sleep", "4321"];
    await rejectsWith("timed_out", lab.runtime.runInside(id, command, { timeoutMs: 500 }));
    assert.equal(await inside(id, "ps | grep '[s]leep 4321' | wc -l"), "0");
  });

  it("gives a terminal its size and passes it on", async () => {
    const id = await run();
    const stream = await lab.runtime.exec(id, {
      command: ["sh"],
      tty: true,
      stdin: true,
      columns: 101,
      rows: 42,
    });
    await stream.write(Buffer.from("stty size\n"));
    await stream.write(Buffer.from("exit 6\n"));
    let output = "";
    for await (const { bytes } of stream.output()) output += Buffer.from(bytes).toString();
    assert.match(output, /42 101/);
    assert.equal(await stream.exitCode(), 6);
  });

  it("finds out that an image was removed behind its back", async () => {
    const reference = `berth.test/gone:${lab.cluster}`;
    const spec = { contextDigest: `sha256:${"0".repeat(64)}`, dockerfile: "Dockerfile" };
    const built = await lab.runtime.buildImage(
      reference,
      { ...spec, args: {}, labels: { made: String(process.pid) } },
      (async function* () {
        yield await tarOf({ Dockerfile: "FROM scratch\nLABEL x=1\n" });
      })(),
      { cluster: lab.cluster, limits: {} },
    );
    await lab.runtime.ensureImage(built, {});
    const other = dockerRuntime();
    await other.removeImage(built.imageId);
    other.close();
    const creating = lab.runtime.createContainer(request({ imageId: built.imageId }));
    await rejectsWith("image_unavailable", creating);
    const pinned = { reference, imageId: built.imageId };
    await rejectsWith("image_unavailable", lab.runtime.ensureImage(pinned, {}));
  });

  it("seeds again what was cut off, and not what a task has written", async () => {
    const { runtime, cluster } = lab;
    const engineName = `${cluster}-seed`;
    await runtime.ensureVolume({ engineName, cluster, driverOptions: {}, labels: {} });
    await runtime.seedVolume(engineName, await tarOf({ "a.txt": "seed" }));
    const mounts = [
      { kind: "volume", engineName, target: "/data", readOnly: false, noCopy: true },
    ] as const;
    const id = await run({ mounts });
    assert.equal(await inside(id, "cat /data/a.txt; echo changed > /data/a.txt"), "seed");
    await runtime.seedVolume(engineName, await tarOf({ "a.txt": "again", "b.txt": "again" }));
    assert.equal(await inside(id, "cat /data/*"), "changed");
    // A helper that is still there says that the seeding before was not complete.
    const helper = request({ name: `berth-seed-${engineName}`, labels: {} });
    await runtime.createContainer({
      ...helper,
      mounts: [{ ...mounts[0], target: "/volume" }],
    });
    await runtime.seedVolume(engineName, await tarOf({ "a.txt": "whole" }));
    assert.equal(await inside(id, "cat /data/a.txt"), "whole");
    assert.equal(await runtime.inspectContainer(helper.name), undefined);
    await runtime.removeContainer(id);
  });

  it("loses and doubles no output when agents come and go", async () => {
    const directory = await mkdtemp(join(tmpdir(), "berth-logs-"));
    try {
      const lines = 3_000;
      const script = [
        `i=0; while [ $i -lt ${lines} ]; do echo "line $i"; i=$((i+1));`,
        "[ $((i % 500)) -eq 0 ] && sleep 0.2; done;",
        "head -c 40000 /dev/zero | tr '\\0' x; echo; sleep 0.3; echo last >&2; exit 3",
      ].join(" ");
      const id = await run({ command: ["sh", "-c", script] });
      const key = {
        project: "p",
        environment: "e",
        stack: "s",
        service: "web",
        slot: 1,
        task: "abc123",
        release: 1,
      };
      const limits = { maxBytes: 1_000_000, maxFiles: 3 };
      const open = async () => {
        const files = new DiskLogFiles(directory);
        const log = silentLogger;
        const store = new LogStore({ files, clock: systemClock, log, node: "n" });
        await store.open();
        const { runtime } = lab;
        return { store, capture: new LogCapture({ runtime, store, clock: systemClock, log }) };
      };
      for (let life = 0; life < 4; life++) {
        const { capture } = await open();
        capture.follow({ containerId: id, key, attempt: 1, limits });
        await lab.runtime.runInside(id, ["sleep", "0.2"], TIMEOUT).catch(() => {});
        await capture.close();
      }
      const { store, capture } = await open();
      capture.follow({ containerId: id, key, attempt: 1, limits });
      await capture.drained(id);
      const seen: string[] = [];
      const query = { project: "p", environment: "e", stack: "s", follow: false };
      for await (const { text } of store.read(query, new AbortController().signal)) seen.push(text);
      const wanted = Array.from({ length: lines }, (_, index) => `line ${index}`);
      assert.deepEqual(seen.slice(0, lines), wanted);
      assert.deepEqual(
        seen.slice(lines).map((text) => (text.length > 100 ? text.length : text)),
        [40_000, "last"],
      );
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("an engine that is away", () => {
  it("is unavailable", async () => {
    const runtime = dockerRuntime({ socketPath: "/run/no-such-engine.sock" });
    await rejectsWith("unavailable", runtime.info());
    const events = runtime.events("c", new AbortController().signal);
    await rejectsWith("unavailable", events[Symbol.asyncIterator]().next());
    runtime.close();
  });

  it("that does not answer runs into the deadline", async () => {
    const { createServer } = await import("node:net");
    const directory = await mkdtemp(join(tmpdir(), "berth-mute-"));
    const socketPath = join(directory, "engine.sock");
    const server = createServer(() => {}).listen(socketPath);
    const client = new EngineClient({ socketPath, clock: systemClock });
    const call = { method: "GET", path: "/info", context: "ask", timeoutMs: 50 } as const;
    const error = await rejectsWith("timed_out", client.call(call));
    assert.equal(error.details["timeoutMs"], 50);
    client.close();
    server.close();
    await rm(directory, { recursive: true });
  });
});
