/** Where an image comes from: the engine, the registry, another node; and what is never asked of one. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Prng, silentLogger } from "@berth/base";
import { type ApiClient, ProtocolError } from "@berth/protocol";
import { FakeRuntime } from "../runtime/fake.ts";
import { FakeHost } from "../runtime/fake-host.ts";
import { type FakeImage, FakeRegistry, fakeImage } from "../runtime/fake-registry.ts";
import { ImageFetcher } from "./image-fetcher.ts";

function subject() {
  const clock = new ManualClock();
  const registry = new FakeRegistry();
  const host = () => new FakeHost({ clock, prng: new Prng(7), latencyMs: () => 0, registry });
  const [here, there] = [host(), host()];
  const other = new FakeRuntime(there);
  const asked: string[] = [];
  const calls = {
    call: async (_id: string, { query }: { query: { image: string } }) => {
      asked.push(query.image);
      const image = await other.inspectImage(query.image);
      if (image === undefined) throw new ProtocolError("not_found", "nobody has it");
      return { imageId: image.imageId, sizeBytes: image.sizeBytes, nodes: ["n2"] };
    },
    download: async (_id: string, { params }: { params: { digest: string } }) =>
      other.saveImage(params.digest),
  };
  const api = calls as unknown as Pick<ApiClient, "call" | "download">;
  const runtime = new FakeRuntime(here);
  const fetcher = new ImageFetcher({ api, node: "n1", runtime, log: silentLogger });
  return { clock, registry, here, there, asked, calls, fetcher };
}

function built(host: FakeHost, reference: string): FakeImage {
  const image = { ...fakeImage({ reference }), built: true };
  host.images.set(image.imageId, image);
  return image;
}

test("an image that only another node has comes from there, with progress, once for all who want it", async () => {
  const { there, here, asked, fetcher } = subject();
  const { imageId } = built(there, "local/app:1");
  const pinned = { reference: "local/app:1", imageId };
  const seen: (number | undefined)[] = [];
  const both = await Promise.all([
    fetcher.ensure(pinned, { onProgress: ({ doneBytes }) => seen.push(doneBytes) }),
    fetcher.ensure(pinned, {}),
  ]);
  assert.deepEqual(
    both.map((image) => image.imageId),
    [imageId, imageId],
  );
  assert.ok(here.images.has(imageId));
  assert.ok(seen.length > 0 && Number(seen[0]) > 0);
  assert.equal(here.images.get(imageId)?.reference, "local/app:1");
  assert.deepEqual(asked, [imageId, imageId], "the second one finds it here");
});

test("a registry that cannot be reached is stood in for, one that refuses is not", async () => {
  const { registry, there, asked, fetcher } = subject();
  const image = registry.put({ reference: "r.example/app:1", pullMs: 0 });
  there.images.set(image.imageId, image);
  const pinned = {
    reference: "r.example/app:1",
    repoDigest: `r.example/app@${image.manifestDigest}`,
  };
  registry.down = true;
  assert.equal((await fetcher.ensure(pinned, {})).imageId, image.imageId);
  assert.deepEqual(asked, [pinned.repoDigest]);
  registry.down = false;
  const auth = { server: "r.example", username: "u", password: "p" };
  const closed = registry.put({ reference: "r.example/closed:1", auth, pullMs: 0 });
  there.images.set(closed.imageId, closed);
  const repoDigest = `r.example/closed@${closed.manifestDigest}`;
  await assert.rejects(
    fetcher.ensure({ reference: "r.example/closed:1", repoDigest }, {}),
    (error) => error instanceof ProtocolError && error.details["reason"] === "unauthorized",
  );
  assert.equal(asked.length, 1);
});

test("an image that nobody has is refused for good; a server that does not answer is asked again", async () => {
  const { fetcher, calls } = subject();
  const pinned = { reference: "local/app:1", imageId: `sha256:${"1".repeat(64)}` };
  await assert.rejects(fetcher.ensure(pinned, {}), (error) => {
    assert.ok(error instanceof ProtocolError);
    assert.equal(error.code, "image_unavailable");
    assert.match(error.message, /in no registry; no other node has it/);
    return true;
  });
  calls.call = () => Promise.reject(new ProtocolError("unavailable", "no server"));
  await assert.rejects(
    fetcher.ensure(pinned, {}),
    (error) => error instanceof ProtocolError && error.code === "unavailable",
  );
});

test("another image than the wanted one is not taken", async () => {
  const { there, here, calls, fetcher } = subject();
  const { imageId } = built(there, "local/app:1");
  const evil = built(there, "local/evil:1");
  const save = calls.download;
  calls.download = (id) => save(id, { params: { digest: evil.imageId } });
  await assert.rejects(
    fetcher.ensure({ reference: "local/app:1", imageId }, {}),
    (error) => error instanceof ProtocolError && error.details["reason"] === "other_content",
  );
  assert.equal(here.images.size, 0);
});
