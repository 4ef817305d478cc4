/** The ruleset as text, and what counts as a table that is not ours any more. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { assertGolden } from "../testing/dialogue.ts";
import { modelOf } from "../testing/model-text.ts";
import { tableMismatch } from "./read-back.ts";
import { renderRuleset } from "./ruleset.ts";

const FOLDER = new URL("testdata/", import.meta.url);

function rulesetOf(text: string) {
  const model = modelOf(text);
  return renderRuleset({
    clusterId: model.cluster.id,
    networks: model.networks,
    publishedPorts: model.ingress.tcpPorts.map((port) => ({
      address: port.hostAddress,
      port: port.hostPort,
    })),
    hostPolicy: model.hostPolicy,
    dnsPort: 53,
    ...(model.underlay === undefined ? {} : { underlay: model.underlay }),
  });
}

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".model"))) {
  test(`ruleset of ${file}`, () => {
    const { text } = rulesetOf(readFileSync(new URL(file, FOLDER), "utf8"));
    assertGolden(new URL(file.replace(".model", ".nft"), FOLDER), text);
  });
}

test("the version changes with every rule and with nothing else", () => {
  const one = "network n1 s 10.1.0.0/24";
  const two = "network n2 s 10.2.0.0/24";
  assert.equal(rulesetOf(`${one}\n${two}`).version, rulesetOf(`${two}\n${one}`).version);
  assert.equal(
    rulesetOf(one).version,
    rulesetOf(`${one}\nservice s/web n1\nendpoint s/web 1 n1 10.1.0.11`).version,
  );
  assert.notEqual(rulesetOf(one).version, rulesetOf(`${one} internal`).version);
  assert.notEqual(rulesetOf(one).version, rulesetOf(`${one}\nopen tcp 22`).version);
});

test("a listing with every chain and rule is ours; a lost rule or version is named", () => {
  const wanted = rulesetOf("network n1 s 10.1.0.0/24");
  const items = [...wanted.rulesByChain].flatMap(([name, count]) => [
    { chain: { name } },
    ...new Array(count).fill({ rule: { chain: name } }),
  ]);
  assert.equal(tableMismatch({ nftables: [{ metainfo: {} }, ...items] }, wanted), undefined);
  const withoutRule = items.filter((_, index) => index !== items.length - 2);
  assert.match(tableMismatch({ nftables: withoutRule }, wanted) ?? "", /rules instead of|missing/);
  const version = `version_${wanted.version}`;
  const other = items.filter((item) => item.chain?.name !== version);
  assert.equal(tableMismatch({ nftables: other }, wanted), `chain ${version} is missing`);
  for (const garbage of [undefined, null, {}, { nftables: 3 }, "x"]) {
    assert.equal(tableMismatch(garbage, wanted), "the listing cannot be read");
  }
});
