/** The runtime's contract: networks, volumes, images, events, figures. */

import assert from "node:assert/strict";
import { it } from "node:test";
import { ProtocolError } from "@berth/protocol";
import { rejectsWith, type Subject, tarOf } from "./contract-subject.ts";
import { type ContainerRequest, LABEL_CLUSTER, type RuntimeEvent } from "./port.ts";

export function networkTests(subject: Subject): void {
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

function volumeOf({ harness: { cluster } }: Subject, suffix: string) {
  return { engineName: `${cluster}-${suffix}`, cluster, driverOptions: {}, labels: {} };
}

export function volumeTests(subject: Subject): void {
  const volume = (suffix: string) => volumeOf(subject, suffix);

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

export function imageTests(subject: Subject): void {
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

export function archiveTests(subject: Subject): void {
  it("copies the content of a volume into another, modes and links included", async () => {
    const { runtime } = subject;
    const [from, to] = [volumeOf(subject, "from"), volumeOf(subject, "to")];
    for (const each of [from, to]) await runtime.ensureVolume(each);
    await runtime.seedVolume(from.engineName, await tarOf({ "a.txt": "content" }));
    const content = async (name: string) =>
      Buffer.concat(await Array.fromAsync(await runtime.readVolume(name)));
    const archive = await content(from.engineName);
    await runtime.writeVolume(to.engineName, pieces(archive));
    assert.deepEqual(await content(to.engineName), archive);
    const broken = (async function* () {
      yield archive.subarray(0, 512);
      throw new ProtocolError("unavailable", "cut off");
    })();
    await rejectsWith("unavailable", runtime.writeVolume(to.engineName, broken));
    await rejectsWith("not_found", runtime.readVolume(volumeOf(subject, "missing").engineName));
    // One whose reader has died in the middle.
    const reading = (await runtime.readVolume(from.engineName))[Symbol.asyncIterator]();
    await reading.next();
    // What reads and writes leaves nothing behind that would hold them.
    for (const { engineName } of [from, to]) await runtime.removeVolume(engineName);
  });

  it("hands an image over as an archive, and takes it back under its name", async () => {
    const { runtime, harness } = subject;
    const reference = `berth.test/${harness.cluster}:handed`;
    const { imageId } = await runtime.buildImage(
      reference,
      buildSpec("Dockerfile"),
      buildContext(),
      {
        cluster: `${harness.cluster}-handed`,
        limits: {},
      },
    );
    const bytes = Buffer.concat(await Array.fromAsync(await runtime.saveImage(imageId)));
    await runtime.removeImage(imageId);
    await rejectsWith(
      "not_found",
      (async () => Array.fromAsync(await runtime.saveImage(imageId)))(),
    );
    const other = { imageId: `sha256:${"2".repeat(64)}`, reference: "berth.test/other:1" };
    const error = await rejectsWith("image_unavailable", runtime.loadImage(pieces(bytes), other));
    assert.equal(error.details["reason"], "other_content");
    assert.equal(await runtime.inspectImage(imageId), undefined, "what was not asked for is gone");
    const loaded = await runtime.loadImage(pieces(bytes), { imageId, reference });
    assert.equal(loaded.imageId, imageId);
    assert.equal((await runtime.inspectImage(reference))?.imageId, imageId);
    await runtime.removeImage(imageId);
  });
}

export function eventTests(subject: Subject): void {
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

export function figureTests(subject: Subject): void {
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

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 4_096) yield bytes.subarray(at, at + 4_096);
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
