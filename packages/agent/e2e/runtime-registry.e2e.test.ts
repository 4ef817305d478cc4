/** Pulls from a registry with credentials: by tag, by digest, with the wrong password, of what is not there. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "@berth/base";
import { rejectsWith } from "../src/runtime/contract-subject.ts";
import { EngineClient } from "../src/runtime/docker-client.ts";
import { paddedBase64Url } from "../src/runtime/docker-images.ts";
import { jsonLinesOf } from "../src/runtime/docker-stream.ts";
import { openRegistry, type PrivateRegistry } from "./private-registry.ts";
import { type Lab, openLab } from "./runtime-lab.ts";

const PASSWORD = "a:b\"c'd";

describe("a registry with credentials", () => {
  let lab: Lab;
  let registry: PrivateRegistry;
  let repository: string;
  const auth = () => ({ server: registry.address, username: "berth", password: PASSWORD });
  before(async () => {
    lab = await openLab(3);
    registry = await openRegistry("berth", PASSWORD);
    repository = `${registry.address}/team/app`;
    await push(lab.image.imageId, repository, auth());
  });
  after(async () => {
    await lab.close();
    await registry.close();
  });

  it("tells what it has under a tag, to those who may know", async () => {
    const { runtime } = lab;
    const { repoDigest } = await runtime.resolveRemote(`${repository}:1`, auth());
    assert.match(repoDigest, new RegExp(`^${repository}@sha256:[a-f0-9]{64}$`));
    const wrong = { ...auth(), password: "wrong" };
    for (const asking of [
      runtime.resolveRemote(`${repository}:1`),
      runtime.resolveRemote(`${repository}:1`, wrong),
    ]) {
      const error = await rejectsWith("image_unavailable", asking);
      assert.equal(error.details["reason"], "unauthorized");
    }
    const missing = runtime.resolveRemote(`${repository}:none`, auth());
    const error = await rejectsWith("image_unavailable", missing);
    assert.equal(error.details["reason"], "not_found");
  });

  it("gives the image of a digest, and once", async () => {
    const { runtime } = lab;
    const { repoDigest } = await runtime.resolveRemote(`${repository}:1`, auth());
    // The image lies here under another name: its content must go before it can be pulled.
    await runtime.removeImage(lab.image.imageId);
    assert.equal(await runtime.inspectImage(lab.image.imageId), undefined);
    const pinned = { reference: `${repository}:1`, repoDigest };
    const wrong = { auth: async () => ({ ...auth(), password: "wrong" }) };
    const refused = await rejectsWith("image_unavailable", runtime.ensureImage(pinned, wrong));
    assert.equal(refused.details["reason"], "unauthorized");
    const image = await runtime.ensureImage(pinned, { auth: async () => auth() });
    assert.equal(image.imageId, lab.image.imageId);
    assert.equal(image.repoDigest, repoDigest);
    assert.equal(
      (await runtime.ensureImage({ ...pinned, imageId: image.imageId }, {})).imageId,
      image.imageId,
    );
  });

  it("says what is missing, and where nobody answers", async () => {
    const { runtime } = lab;
    const digest = `sha256:${"5".repeat(64)}`;
    const gone = { reference: "x", repoDigest: `${repository}@${digest}` };
    const error = await rejectsWith(
      "image_unavailable",
      runtime.ensureImage(gone, { auth: async () => auth() }),
    );
    assert.equal(error.details["reason"], "not_found");
    const nobody = { reference: "127.0.0.1:9/team/app:1" };
    const away = await rejectsWith("image_unavailable", runtime.ensureImage(nobody, {}));
    assert.equal(away.details["reason"], "unreachable");
  });
});

async function push(
  imageId: string,
  repository: string,
  auth: { readonly username: string; readonly password: string },
): Promise<void> {
  const client = new EngineClient({ socketPath: "/var/run/docker.sock", clock: systemClock });
  const context = "push";
  const query = { repo: repository, tag: "1" };
  await client.call({ method: "POST", path: `/images/${imageId}/tag`, query, context });
  const lines = await client.open({
    method: "POST",
    path: `/images/${repository}/push`,
    query: { tag: "1" },
    headers: { "x-registry-auth": paddedBase64Url(JSON.stringify(auth)) },
    context,
  });
  for await (const line of jsonLinesOf(lines)) {
    assert.ok(!JSON.stringify(line).includes('"error"'), JSON.stringify(line));
  }
  client.close();
}
