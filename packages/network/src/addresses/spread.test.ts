/** The table of service addresses as text, and that differences are what they say. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { assertGolden } from "../testing/dialogue.ts";
import { modelOf } from "../testing/model-text.ts";
import { spreadFrame, spreadState } from "./spread.ts";
import { tableChanges, versionChain, wholeTable } from "./table-state.ts";

const FOLDER = new URL("testdata/", import.meta.url);

function stateOf(text: string) {
  return spreadState(modelOf(text));
}

const FRAME = spreadFrame("c1");
const NETWORK = "network n1 s 10.1.0.0/24 services=10.9.0.0/24\nservice s/web n1 vip=10.9.0.1\n";

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".model"))) {
  test(`table of ${file}`, () => {
    const text = readFileSync(new URL(file, FOLDER), "utf8");
    assertGolden(new URL(file.replace(".model", ".nft"), FOLDER), wholeTable(FRAME, stateOf(text)));
  });
}

test("a copy that comes changes the chain of its service and nothing else", () => {
  const one = stateOf(`${NETWORK}endpoint s/web 1 n1 10.1.0.11`);
  const two = stateOf(`${NETWORK}endpoint s/web 1 n1 10.1.0.11\nendpoint s/web 2 n1 10.1.0.12`);
  const [chain = ""] = one.chains.keys();
  assert.deepEqual(tableChanges(FRAME, one, two).trim().split("\n"), [
    `flush chain inet berth_c1_address ${chain}`,
    `add rule inet berth_c1_address ${chain} dnat ip to numgen random mod 2 map { 0 : 10.1.0.11, 1 : 10.1.0.12 }`,
    "add element inet berth_c1_address own { 10.1.0.12 . 10.1.0.12 }",
    `delete chain inet berth_c1_address ${versionChain(FRAME, one)}`,
    `add chain inet berth_c1_address ${versionChain(FRAME, two)}`,
  ]);
});

test("what does not concern connections changes nothing", () => {
  const text = `${NETWORK}endpoint s/web 1 n1 10.1.0.11`;
  const other = `${text}\nendpoint s/web 2 n1 10.1.0.12 draining\nservice s/list n1 dnsrr`;
  assert.equal(tableChanges(FRAME, stateOf(text), stateOf(other)), "");
});
