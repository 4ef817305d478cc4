/**
 * What every runtime must do, as one suite: run against the fake on a virtual clock and against a real
 * engine. A behaviour that callers rely on is a test here first.
 *
 * The containers run busybox; the fake reads the same commands (`fake-program.ts`).
 */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { PinnedImage } from "@berth/protocol";
import { ProtocolError } from "@berth/protocol";
import { pack } from "tar-stream";
import {
  type ContainerRequest,
  type ContainerState,
  LABEL_ATTEMPT,
  LABEL_CLUSTER,
  LABEL_TASK,
  type LogChunk,
  type NetworkRequest,
  type Runtime,
  type RuntimeEvent,
} from "./port.ts";

/** What the suite needs of an implementation. */
export interface RuntimeHarness {
  readonly runtime: Runtime;
  /** Unique: what the suite makes carries it. */
  readonly cluster: string;
  /** An image with busybox as `/bin/...`; present. */
  readonly image: PinnedImage & { readonly imageId: string };
  /** A network that is free on this machine. */
  readonly network: NetworkRequest;
  /** Removes what is left. */
  close(): Promise<void>;
}

const FOREVER = ["sleep", "100000"] as const;
const OBEDIENT = ["sh", "-c", 'trap "exit 0" TERM; sleep 100000 & wait'] as const;
/** Awkward for shells, files and parsers. */
const VALUES: Readonly<Record<string, string>> = {
  QUOTES: `a "b" 'c' \`d\``,
  LINES: "one\ntwo\r\n\tthree",
  DOLLAR: "$HOME $(id) $$ %s",
  JSON: '{"a":[1,"\\\\"]}',
  UNICODE: "Ankerplätze 泊位 🚢",
  EMPTY: "",
  SPACES: "  both ends  ",
  EQUALS: "a=b=c",
};

/** Registers the suite with the test runner. */
export function runtimeContract(name: string, open: () => Promise<RuntimeHarness>): void {
  describe(`runtime contract: ${name}`, () => {
    let harness: RuntimeHarness;
    let count = 0;
    before(async () => {
      harness = await open();
    });
    after(() => harness.close());
    const subject: Subject = {
      get harness() {
        return harness;
      },
      get runtime() {
        return harness.runtime;
      },
      request(changes = {}) {
        count++;
        return requestOf(harness, `${harness.cluster}-${count}`, changes);
      },
      async run(changes = {}) {
        const created = await harness.runtime.createContainer(this.request(changes));
        await harness.runtime.startContainer(created.id);
        return created;
      },
    };
    lifeTests(subject);
    outputTests(subject);
    commandTests(subject);
    networkTests(subject);
    volumeTests(subject);
    imageTests(subject);
    eventTests(subject);
    figureTests(subject);
  });
}

interface Subject {
  readonly harness: RuntimeHarness;
  readonly runtime: Runtime;
  request(changes?: Partial<ContainerRequest>): ContainerRequest;
  /** Creates and starts. */
  run(changes?: Partial<ContainerRequest>): Promise<ContainerState>;
}

function requestOf(
  harness: RuntimeHarness,
  name: string,
  changes: Partial<ContainerRequest>,
): ContainerRequest {
  return {
    name,
    labels: { [LABEL_CLUSTER]: harness.cluster, [LABEL_TASK]: name, [LABEL_ATTEMPT]: "1" },
    imageId: harness.image.imageId,
    command: FOREVER,
    environment: {},
    engine: {},
    limits: {},
    mounts: [],
    network: { kind: "none" },
    stopGraceMs: 1_000,
    ...changes,
  };
}

function lifeTests(subject: Subject): void {
  it("answers the existing container when a name is created twice", async () => {
    const request = subject.request();
    const first = await subject.runtime.createContainer(request);
    const second = await subject.runtime.createContainer(request);
    assert.equal(second.id, first.id);
    assert.equal(first.phase, "created");
    assert.equal(first.name, request.name);
    assert.deepEqual(second.labels, request.labels);
  });

  it("starts, shows the process, and starting again changes nothing", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    await runtime.startContainer(id);
    const state = await runtime.inspectContainer(id);
    assert.equal(state?.phase, "running");
    assert.equal(typeof state.pid, "number");
    assert.equal(state.imageId, subject.harness.image.imageId);
    assert.equal(state.exitCode, undefined);
  });

  it("finds containers by name and lists those of a cluster only", async () => {
    const { runtime } = subject;
    const { id, name, labels } = await subject.run();
    assert.equal((await runtime.inspectContainer(name))?.id, id);
    const listed = (await runtime.listContainers(subject.harness.cluster)).find(
      (container) => container.id === id,
    );
    assert.equal(listed?.name, name);
    assert.equal(listed.phase, "running");
    assert.deepEqual(listed.labels, labels);
    assert.deepEqual(await runtime.listContainers(`${subject.harness.cluster}-other`), []);
  });

  it("waits for the end and gives the code", async () => {
    const { id } = await subject.run({ command: ["sh", "-c", "sleep 0.1; exit 3"] });
    const state = await subject.runtime.waitContainer(id);
    assert.deepEqual([state.phase, state.exitCode, state.oomKilled], ["exited", 3, false]);
    assert.ok((state.finishedAt ?? 0) >= (state.startedAt ?? Number.POSITIVE_INFINITY));
    assert.equal((await subject.runtime.waitContainer(id)).exitCode, 3);
  });

  it("stops by the signal, and by force when the grace is over", async () => {
    const { runtime } = subject;
    const obedient = await subject.run({ command: OBEDIENT });
    await runtime.stopContainer(obedient.id, 20_000);
    assert.equal((await runtime.inspectContainer(obedient.id))?.exitCode, 0);
    const deaf = await subject.run();
    await runtime.stopContainer(deaf.id, 1_000);
    assert.equal((await runtime.inspectContainer(deaf.id))?.exitCode, 137);
    await runtime.stopContainer(deaf.id, 1_000);
  });

  it("kills, and killing what has ended is no error", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    await runtime.killContainer(id, "SIGKILL");
    assert.equal((await runtime.waitContainer(id)).exitCode, 137);
    await runtime.killContainer(id, "SIGKILL");
  });

  it("removes what runs, and removing what is gone succeeds", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    await runtime.removeContainer(id);
    assert.equal(await runtime.inspectContainer(id), undefined);
    await runtime.removeContainer(id);
    await rejectsWith("not_found", runtime.startContainer(id));
  });

  it("names the executable that is missing", async () => {
    const { runtime } = subject;
    const created = await runtime.createContainer(subject.request({ command: ["/no/such/tool"] }));
    const error = await rejectsWith("engine_error", runtime.startContainer(created.id));
    assert.match(error.message, /\/no\/such\/tool/);
    assert.match(
      (await runtime.inspectContainer(created.id))?.error ?? "",
      /no such file|not found/,
    );
  });

  it("refuses an image that is not there", async () => {
    const request = subject.request({ imageId: `sha256:${"0".repeat(64)}` });
    await rejectsWith("image_unavailable", subject.runtime.createContainer(request));
  });

  it("gives up when the signal says so", async () => {
    const { id } = await subject.run();
    const abort = new AbortController();
    const waiting = subject.runtime.waitContainer(id, abort.signal);
    abort.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
  });
}

function outputTests(subject: Subject): void {
  const everything = async (id: string, since?: string) => {
    const chunks: LogChunk[] = [];
    const { signal } = new AbortController();
    for await (const chunk of subject.runtime.logs(id, since, signal)) chunks.push(chunk);
    return chunks;
  };

  it("gives output line by line with its stream and stamp, then ends", async () => {
    const { id } = await subject.run({
      command: ["sh", "-c", "echo one; echo two; sleep 0.1; echo bad >&2; exit 0"],
    });
    const chunks = await everything(id);
    assert.deepEqual(
      chunks.map((chunk) => [chunk.stream, Buffer.from(chunk.bytes).toString()]),
      [
        ["stdout", "one\n"],
        ["stdout", "two\n"],
        ["stderr", "bad\n"],
      ],
    );
    for (const chunk of chunks) {
      assert.match(chunk.stamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      assert.equal(Date.parse(chunk.stamp), chunk.at);
    }
  });

  it("begins at a stamp, which is included", async () => {
    const { id } = await subject.run({
      command: ["sh", "-c", "echo one; sleep 0.1; echo two; sleep 0.1; echo three; exit 0"],
    });
    const all = await everything(id);
    const rest = await everything(id, all[1]?.stamp);
    assert.deepEqual(
      rest.map((chunk) => Buffer.from(chunk.bytes).toString()),
      ["two\n", "three\n"],
    );
  });

  it("gives bytes as they were written, with a terminal too", async () => {
    const text = "Ankerplätze 泊位";
    for (const tty of [false, true]) {
      const { id } = await subject.run({ command: ["echo", text], engine: { tty } });
      const [chunk] = await everything(id);
      assert.equal(
        Buffer.from(chunk?.bytes ?? [])
          .toString()
          .trimEnd(),
        text,
      );
    }
  });

  it("ends the stream when the signal says so", async () => {
    const { id } = await subject.run({ command: ["sh", "-c", "echo here; sleep 100000"] });
    const abort = new AbortController();
    const seen: string[] = [];
    for await (const chunk of subject.runtime.logs(id, undefined, abort.signal)) {
      seen.push(Buffer.from(chunk.bytes).toString());
      abort.abort();
    }
    assert.deepEqual(seen, ["here\n"]);
  });
}

function commandTests(subject: Subject): void {
  const shell = { tty: false, stdin: false } as const;

  it("runs commands inside with their output and code", async () => {
    const { runtime } = subject;
    const { id } = await subject.run();
    assert.deepEqual(await runtime.runInside(id, ["echo", "hello"], { timeoutMs: 20_000 }), {
      exitCode: 0,
      output: "hello\n",
    });
    const failed = await runtime.runInside(id, ["sh", "-c", "exit 7"], { timeoutMs: 20_000 });
    assert.equal(failed.exitCode, 7);
    const missing = await runtime.runInside(id, ["/no/such/tool"], { timeoutMs: 20_000 });
    assert.ok([126, 127].includes(missing.exitCode), `code ${missing.exitCode}`);
  });

  it("gives up on a command that takes too long", async () => {
    const { id } = await subject.run();
    const running = subject.runtime.runInside(id, ["sleep", "60"], { timeoutMs: 300 });
    await rejectsWith("timed_out", running);
  });

  it("refuses commands in a container that does not run", async () => {
    const { id } = await subject.runtime.createContainer(subject.request());
    const running = subject.runtime.runInside(id, ["true"], { timeoutMs: 20_000 });
    await rejectsWith("conflict", running);
  });

  it("keeps the streams of a command apart and gives its code", async () => {
    const { id } = await subject.run();
    const stream = await subject.runtime.exec(id, {
      ...shell,
      command: ["sh", "-c", "echo out; echo err >&2; exit 5"],
    });
    const seen = { stdout: "", stderr: "" };
    for await (const chunk of stream.output()) {
      seen[chunk.stream] += Buffer.from(chunk.bytes).toString();
    }
    assert.deepEqual(seen, { stdout: "out\n", stderr: "err\n" });
    assert.equal(await stream.exitCode(), 5);
  });

  it("hands input over until its end", async () => {
    const { id } = await subject.run();
    const stream = await subject.runtime.exec(id, { ...shell, stdin: true, command: ["cat"] });
    await stream.write(Buffer.from("a line\n"));
    stream.endInput();
    let text = "";
    for await (const chunk of stream.output()) text += Buffer.from(chunk.bytes).toString();
    assert.equal(text, "a line\n");
    assert.equal(await stream.exitCode(), 0);
  });

  it("hands environment values over byte for byte", async () => {
    const { id } = await subject.run({ environment: VALUES });
    const { output } = await subject.runtime.runInside(id, ["cat", "/proc/1/environ"], {
      timeoutMs: 20_000,
    });
    const seen = output.split("\0");
    for (const [name, value] of Object.entries(VALUES)) {
      assert.ok(seen.includes(`${name}=${value}`), `${name} in ${JSON.stringify(output)}`);
    }
  });
}

function networkTests(subject: Subject): void {
  const attached = (host: number): ContainerRequest["network"] => {
    const { id, subnet } = subject.harness.network;
    const address = subnet.replace(/\.0\/\d+$/, `.${host}`);
    const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
    return {
      kind: "networks",
      attachments: [{ networkId: id, address, mac: `02:42:${bytes.join(":")}` }],
    };
  };

  it("makes a network once and lists it by its identifier", async () => {
    const { runtime, harness } = subject;
    await runtime.ensureNetwork(harness.network);
    await runtime.ensureNetwork(harness.network);
    const { id, bridge } = harness.network;
    assert.deepEqual(await runtime.listNetworks(harness.cluster), [{ id, bridge }]);
  });

  it("gives an address to one container at a time", async () => {
    const { runtime, harness } = subject;
    await runtime.ensureNetwork(harness.network);
    const first = await subject.run({ network: attached(7) });
    const second = await runtime.createContainer(subject.request({ network: attached(7) }));
    await rejectsWith("claim_taken", runtime.startContainer(second.id));
    await rejectsWith("still_in_use", runtime.removeNetwork(harness.network.id, harness.cluster));
    await runtime.removeContainer(first.id);
    await runtime.startContainer(second.id);
    await runtime.removeContainer(second.id);
  });

  it("joins the network of another container", async () => {
    const { runtime, harness } = subject;
    await runtime.ensureNetwork(harness.network);
    const owner = await subject.run({ network: attached(8) });
    const guest = await subject.run({ network: { kind: "container", containerId: owner.id } });
    assert.equal((await runtime.inspectContainer(guest.id))?.phase, "running");
    await runtime.removeContainer(guest.id);
    await runtime.removeContainer(owner.id);
  });

  it("refuses a network that is not there", async () => {
    const request = subject.request({
      network: {
        kind: "networks",
        attachments: [{ networkId: "ffffffff", address: "10.250.1.7", mac: "02:42:0a:fa:01:07" }],
      },
    });
    const starting = async () => {
      const { id } = await subject.runtime.createContainer(request);
      await subject.runtime.startContainer(id);
    };
    await rejectsWith("not_found", starting());
  });

  it("removes a network, and one that is gone", async () => {
    const { runtime, harness } = subject;
    await runtime.ensureNetwork(harness.network);
    await runtime.removeNetwork(harness.network.id, harness.cluster);
    await runtime.removeNetwork(harness.network.id, harness.cluster);
    assert.deepEqual(await runtime.listNetworks(harness.cluster), []);
  });
}

function volumeTests(subject: Subject): void {
  const volume = (suffix: string) => ({
    engineName: `${subject.harness.cluster}-${suffix}`,
    cluster: subject.harness.cluster,
    driverOptions: {},
    labels: {},
  });

  it("makes a volume once, lists it, and removes it when nothing uses it", async () => {
    const { runtime, harness } = subject;
    const request = volume("once");
    assert.deepEqual(await runtime.ensureVolume(request), { created: true });
    assert.deepEqual(await runtime.ensureVolume(request), { created: false });
    await rejectsWith("foreign_cluster", runtime.ensureVolume({ ...request, cluster: "another" }));
    const { engineName } = request;
    const { id } = await subject.run({
      mounts: [{ kind: "volume", engineName, target: "/data", readOnly: false, noCopy: false }],
    });
    await rejectsWith("still_in_use", runtime.removeVolume(engineName));
    await runtime.removeContainer(id);
    await runtime.removeVolume(engineName);
    await runtime.removeVolume(engineName);
    const left = await runtime.listVolumes(harness.cluster);
    assert.equal(
      left.some((found) => found.engineName === engineName),
      false,
    );
  });

  it("seeds an empty volume, and one with content never again", async () => {
    const { runtime } = subject;
    const request = volume("seeded");
    await runtime.ensureVolume(request);
    await runtime.seedVolume(request.engineName, await tarOf({ "a.txt": "first" }));
    await runtime.seedVolume(request.engineName, await tarOf({ "a.txt": "second", "b.txt": "x" }));
    const listed = await runtime.listVolumes(subject.harness.cluster);
    assert.equal(listed.filter((found) => found.engineName === request.engineName).length, 1);
    await rejectsWith(
      "not_found",
      runtime.seedVolume(volume("missing").engineName, new Uint8Array()),
    );
  });

  it("puts files into a container before its start", async () => {
    const { runtime } = subject;
    const created = await runtime.createContainer(subject.request());
    await runtime.copyInto(created.id, "/", await tarOf({ "greeting.txt": "hello" }));
    await runtime.startContainer(created.id);
    await rejectsWith("not_found", runtime.copyInto("no-such-container", "/", new Uint8Array()));
  });
}

function imageTests(subject: Subject): void {
  it("knows a local image by identifier, and no other", async () => {
    const { runtime, harness } = subject;
    const found = await runtime.inspectImage(harness.image.imageId);
    assert.equal(found?.imageId, harness.image.imageId);
    assert.ok(found.sizeBytes > 0);
    assert.equal(await runtime.inspectImage("berth.test/no-such-image:1"), undefined);
    const listed = await runtime.listImages();
    assert.ok(listed.some((image) => image.imageId === harness.image.imageId));
  });

  it("finds a pinned image that is present, and says where a local one is missing", async () => {
    const { runtime, harness } = subject;
    const present = await runtime.ensureImage(harness.image, {});
    assert.equal(present.imageId, harness.image.imageId);
    const missing = { reference: "berth.test/built:1", imageId: `sha256:${"1".repeat(64)}` };
    const error = await rejectsWith("image_unavailable", runtime.ensureImage(missing, {}));
    assert.equal(error.details["reason"], "not_local");
  });

  it("builds, labels the result, and removes it", async () => {
    const { runtime, harness } = subject;
    const lines: string[] = [];
    const reference = `berth.test/${harness.cluster}:built`;
    const built = await runtime.buildImage(reference, buildSpec("Dockerfile"), buildContext(), {
      cluster: harness.cluster,
      limits: { cpuMillis: 1_000, memoryBytes: 256 * 1024 * 1024 },
      onProgress: ({ line }) => lines.push(line ?? ""),
    });
    assert.equal(built.labels[LABEL_CLUSTER], harness.cluster);
    assert.equal(built.labels["purpose"], "test");
    assert.equal((await runtime.inspectImage(reference))?.imageId, built.imageId);
    assert.ok(lines.length > 0);
    await runtime.removeImage(built.imageId);
    await runtime.removeImage(built.imageId);
    assert.equal(await runtime.inspectImage(reference), undefined);
  });

  it("says which step of a build failed", async () => {
    const { runtime, harness } = subject;
    const reference = `berth.test/${harness.cluster}:broken`;
    const building = runtime.buildImage(reference, buildSpec("Failfile"), buildContext(), {
      cluster: harness.cluster,
      limits: {},
    });
    const error = await rejectsWith("build_failed", building);
    assert.match(JSON.stringify(error.details), /COPY missing/);
  });
}

function eventTests(subject: Subject): void {
  it("tells what happens to the containers of a cluster", async () => {
    const { runtime, harness } = subject;
    const abort = new AbortController();
    const seen: RuntimeEvent[] = [];
    let begun = false;
    const ours = subject.request({ command: ["sh", "-c", "sleep 0.1; exit 4"] });
    const listening = (async () => {
      for await (const event of runtime.events(harness.cluster, abort.signal)) {
        begun = true;
        if (event.task === ours.name) seen.push(event);
        if (event.kind === "removed" && event.task === ours.name) abort.abort();
      }
    })();
    // The subscription has no answer of its own: another container's event shows that it works.
    while (!begun) {
      const other = await subject.run({ command: ["true"] });
      await runtime.waitContainer(other.id);
      await runtime.removeContainer(other.id);
    }
    const foreign = await subject.run({ labels: { [LABEL_CLUSTER]: `${harness.cluster}-other` } });
    await runtime.removeContainer(foreign.id);
    const { id } = await runtime.createContainer(ours);
    await runtime.startContainer(id);
    await runtime.waitContainer(id);
    await runtime.removeContainer(id);
    await listening;
    assert.deepEqual(
      seen.map(({ kind, containerId, exitCode }) => [kind, containerId === id, exitCode]),
      [
        ["started", true, undefined],
        ["exited", true, 4],
        ["removed", true, undefined],
      ],
    );
  });
}

function figureTests(subject: Subject): void {
  it("describes itself", async () => {
    const info = await subject.runtime.info();
    assert.equal(info.os, "linux");
    assert.ok(info.cpuMillis >= 1_000 && info.memoryBytes > 0 && info.dataRoot.startsWith("/"));
  });

  it("measures what runs and leaves out what does not", async () => {
    const { runtime } = subject;
    const { id } = await subject.run({ limits: { memoryBytes: 64 * 1024 * 1024, pids: 50 } });
    const [stats, ...others] = await runtime.stats([id, "no-such-container"]);
    assert.equal(others.length, 0);
    assert.equal(stats?.containerId, id);
    assert.ok(stats.pids >= 1 && stats.memoryBytes > 0 && stats.cpuNanos > 0);
    assert.equal(stats.memoryLimitBytes, 64 * 1024 * 1024);
  });

  it("changes limits in place", async () => {
    const { runtime } = subject;
    const { id } = await subject.run({ limits: { memoryBytes: 64 * 1024 * 1024 } });
    await runtime.updateLimits(id, { memoryBytes: 32 * 1024 * 1024, cpuMillis: 500 });
    assert.equal((await runtime.stats([id]))[0]?.memoryLimitBytes, 32 * 1024 * 1024);
  });
}

/** Awaits the refusal of `promise` and checks its code. */
export async function rejectsWith(code: string, promise: Promise<unknown>): Promise<ProtocolError> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`expected ${code}, but it succeeded`);
}

/** An archive of small files. */
export async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  archive.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of archive) if (part instanceof Uint8Array) parts.push(part);
  return Buffer.concat(parts);
}

function buildSpec(dockerfile: string) {
  return {
    contextDigest: `sha256:${"0".repeat(64)}`,
    dockerfile,
    args: { WORD: 'quo"ted $' },
    labels: { purpose: "test" },
  };
}

async function* buildContext(): AsyncGenerator<Uint8Array> {
  yield await tarOf({
    Dockerfile: "FROM scratch\nARG WORD\nLABEL word=$WORD\nCOPY file.txt /\n",
    Failfile: "FROM scratch\nCOPY file.txt /\nCOPY missing /\n",
    "file.txt": "content",
  });
}
