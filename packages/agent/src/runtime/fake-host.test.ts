import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ManualClock, Prng } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { rejectsWith } from "./contract-subject.ts";
import { FakeRuntime } from "./fake.ts";
import { FakeHost, type FakeHostOptions } from "./fake-host.ts";
import type { FakeProgram } from "./fake-program.ts";
import { FakeRegistry, fakeImage } from "./fake-registry.ts";
import { type ContainerRequest, LABEL_ATTEMPT, LABEL_CLUSTER, LABEL_TASK } from "./port.ts";

const IMAGE = fakeImage({ reference: "app:1" });
const FAILURE = new ProtocolError("engine_error", "as told");

function machine(options: Partial<FakeHostOptions> = {}) {
  const clock = new ManualClock();
  const host = new FakeHost({ clock, prng: new Prng(7), latencyMs: () => 10, ...options });
  host.images.set(IMAGE.imageId, IMAGE);
  return { clock, host, runtime: new FakeRuntime(host) };
}

function request(name: string, changes: Partial<ContainerRequest> = {}): ContainerRequest {
  return {
    name,
    labels: { [LABEL_CLUSTER]: "c", [LABEL_TASK]: name, [LABEL_ATTEMPT]: "1" },
    imageId: IMAGE.imageId,
    environment: {},
    engine: {},
    limits: {},
    mounts: [],
    network: { kind: "none" },
    stopGraceMs: 1_000,
    ...changes,
  };
}

/** Lets time pass until `promise` settles. */
async function settle<T>(clock: ManualClock, promise: Promise<T>): Promise<T> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  promise.then(mark, mark);
  while (!settled) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (!settled) clock.fireNext();
  }
  return promise;
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

async function start({ clock, runtime, host }: ReturnType<typeof machine>, made: ContainerRequest) {
  const { id } = await settle(clock, runtime.createContainer(made));
  await settle(clock, runtime.startContainer(id));
  const container = host.findContainer(id);
  assert.ok(container);
  return container;
}

describe("a fake engine that crashes", () => {
  it("has not done what it was cut off from in the first half", async () => {
    const { clock, host, runtime } = machine();
    const creating = rejectsWith("unavailable", runtime.createContainer(request("t1")));
    await turns();
    clock.advance(4);
    host.crashEngine();
    await creating;
    assert.equal(host.findContainer("t1"), undefined);
    await rejectsWith("unavailable", runtime.listContainers("c"));
  });

  it("has done what it was cut off from in the second half, and told nobody", async () => {
    const { clock, host, runtime } = machine();
    const creating = rejectsWith("unavailable", runtime.createContainer(request("t1")));
    await turns();
    clock.advance(5);
    await turns();
    host.crashEngine();
    await creating;
    assert.equal(host.findContainer("t1")?.request.name, "t1");
  });

  it("leaves containers running, or not", async () => {
    for (const survive of [true, false]) {
      const subject = machine();
      const container = await start(subject, request("t1"));
      subject.host.crashEngine({ survive });
      assert.equal(container.running, survive);
    }
  });

  it("ends event streams with an error", async () => {
    const { clock, host, runtime } = machine();
    const events = runtime.events("c", new AbortController().signal);
    const first = events.next();
    await turns();
    clock.advance(10);
    await turns();
    host.crashEngine();
    await rejectsWith("unavailable", first);
  });
});

describe("a fake host", () => {
  it("loses every process with its power, and nothing on its disk", async () => {
    const subject = machine();
    const { clock, host, runtime } = subject;
    const volume = { engineName: "v1", cluster: "c", driverOptions: {}, labels: {} };
    await settle(clock, runtime.ensureVolume(volume));
    const container = await start(subject, request("t1"));
    const { bootId } = host;
    host.powerOff();
    assert.deepEqual([container.running, container.state().exitCode], [false, 255]);
    host.boot();
    assert.notEqual(host.bootId, bootId);
    assert.deepEqual(await settle(clock, runtime.listVolumes("c")), [{ engineName: "v1" }]);
  });

  it("fails as told, before or after the effect", async () => {
    const { clock, host, runtime } = machine();
    host.failNext("createContainer", FAILURE);
    await rejectsWith("engine_error", settle(clock, runtime.createContainer(request("t1"))));
    assert.equal(host.containers.size, 0);
    host.failNext("createContainer", FAILURE, { afterEffect: true, count: 2 });
    await rejectsWith("engine_error", settle(clock, runtime.createContainer(request("t1"))));
    await rejectsWith("engine_error", settle(clock, runtime.createContainer(request("t1"))));
    assert.equal(host.containers.size, 1);
    await settle(clock, runtime.createContainer(request("t1")));
  });

  it("shows two writers of one volume, and no readers or successors", async () => {
    const mounts = (readOnly: boolean) => [
      { kind: "volume", engineName: "v1", target: "/d", readOnly, noCopy: false } as const,
    ];
    const subject = machine();
    const first = await start(subject, request("t1", { mounts: mounts(false) }));
    await start(subject, request("reader", { mounts: mounts(true) }));
    first.end(0);
    const second = await start(subject, request("t2", { mounts: mounts(false) }));
    assert.deepEqual(subject.host.overlappingWriters(), []);
    const third = await start(subject, request("t3", { mounts: mounts(false) }));
    const [pair, ...others] = subject.host.overlappingWriters();
    assert.deepEqual(
      pair?.map(({ container }) => container),
      [second.id, third.id],
    );
    assert.deepEqual(others, []);
  });

  it("does the same again from the same seed", async () => {
    const ids: string[] = [];
    for (let run = 0; run < 2; run++) ids.push((await start(machine(), request("t1"))).id);
    assert.equal(ids[0], ids[1]);
  });
});

describe("a fake agent that is killed", () => {
  it("gets no answer any more, though the engine did what it asked", async () => {
    const { clock, host, runtime } = machine();
    let answered = false;
    const answer = () => {
      answered = true;
    };
    runtime.createContainer(request("t1")).then(answer, answer);
    await turns();
    runtime.disconnect();
    runtime.createContainer(request("t2")).then(answer, answer);
    clock.advance(100);
    await turns();
    assert.equal(answered, false);
    assert.equal(host.findContainer("t1")?.request.name, "t1");
    assert.equal(host.findContainer("t2"), undefined);
    const next = new FakeRuntime(host);
    assert.equal((await settle(clock, next.listContainers("c"))).length, 1);
  });
});

describe("a fake program", () => {
  const run = async (program: FakeProgram, attempt = 1) => {
    const subject = machine({ programOf: () => program });
    const labels = { [LABEL_CLUSTER]: "c", [LABEL_ATTEMPT]: String(attempt) };
    return { ...subject, container: await start(subject, request("t1", { labels })) };
  };

  it("crashes in its first attempts only, when told so", async () => {
    const program = { exitAfterMs: 100, exitCode: 3, crashAttempts: 2 };
    for (const { attempt, running } of [
      { attempt: 1, running: false },
      { attempt: 2, running: false },
      { attempt: 3, running: true },
    ]) {
      const { clock, container } = await run(program, attempt);
      clock.advance(100);
      assert.equal(container.running, running);
    }
  });

  it("is healthy from one moment to another", async () => {
    const { clock, container } = await run({ healthyAfterMs: 500, unhealthyAfterMs: 1_000 });
    const seen: boolean[] = [];
    for (let look = 0; look < 4; look++) {
      seen.push(container.healthy());
      clock.advance(400);
    }
    assert.deepEqual(seen, [false, false, true, false]);
  });

  it("is killed when it does not obey", async () => {
    const { clock, runtime, container } = await run({ ignoresTerm: true });
    const before = clock.monotonic();
    await settle(clock, runtime.stopContainer(container.id, 5_000));
    assert.equal(container.state().exitCode, 137);
    assert.ok(clock.monotonic() - before >= 5_000);
  });
});

describe("a fake registry", () => {
  it("hands images out to those who may, by tag and by digest", async () => {
    const registry = new FakeRegistry();
    const auth = { server: "r", username: "u", password: "p" };
    registry.put({ reference: "r/app:1", auth, sizeBytes: 10, pullMs: 400 });
    const { clock, runtime } = machine({ registry });
    const { repoDigest } = await settle(clock, runtime.resolveRemote("r/app:1", auth));
    const pinned = { reference: "r/app:1", repoDigest };
    await rejectsWith("image_unavailable", settle(clock, runtime.ensureImage(pinned, {})));
    const before = clock.monotonic();
    const image = await settle(clock, runtime.ensureImage(pinned, { auth: async () => auth }));
    assert.equal(clock.monotonic() - before, 410);
    assert.equal(image.repoDigest, repoDigest);
    registry.down = true;
    assert.equal((await settle(clock, runtime.ensureImage(pinned, {}))).imageId, image.imageId);
    await rejectsWith("image_unavailable", settle(clock, runtime.resolveRemote("r/app:1", auth)));
  });
});
