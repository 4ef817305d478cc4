/** Keys and hashes do not reach the disk with the model, and come back from memory. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { silentLogger } from "@berth/base";
import { ModelFile } from "./model-file.ts";
import { modelOf } from "./testing/model-text.ts";

const MODEL = modelOf(`
  network n1 shop 10.1.0.0/24
  service shop/web n1
  certificate s shop.test shop.pem
  route r1 shop.test / shop/web n1 8080
  wish r1 {"auth":{"realm":"shop","users":[{"name":"ada","hash":"$5$saltsalt$abcdefghijklmnop"}]}}
  route r2 open.test / shop/web n1 8080
`);

test("what is on the disk has neither keys nor hashes; memory gives them back", async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/bsecret-`);
  t.after(() => rmSync(folder, { recursive: true }));
  const paths = { path: `${folder}/model.json`, secretsPath: `${folder}/memory.json` };
  await new ModelFile(paths, silentLogger).save(MODEL, MODEL.generation);
  const onDisk = readFileSync(paths.path, "utf8");
  assert.doesNotMatch(onDisk, /PRIVATE KEY|saltsalt/);
  assert.deepEqual(new ModelFile(paths, silentLogger).load()?.model, MODEL);

  rmSync(paths.secretsPath);
  const bare = new ModelFile(paths, silentLogger).load()?.model;
  assert.equal(bare?.certificates, undefined);
  assert.deepEqual(
    bare?.ingress.httpRoutes.map(({ auth }) => auth?.users),
    [[], undefined],
  );
});

test("a model that is damaged stays what it is, whatever memory says", async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/bsecret-`);
  t.after(() => rmSync(folder, { recursive: true }));
  const paths = { path: `${folder}/model.json`, secretsPath: `${folder}/memory.json` };
  await new ModelFile(paths, silentLogger).save(MODEL, MODEL.generation);
  for (const text of ["{", "null", "[]"]) {
    writeFileSync(paths.path, text);
    assert.equal(new ModelFile(paths, silentLogger).load(), undefined);
  }
});
