/** The installed HAProxy reads every golden configuration, and nft every ruleset. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { renderConfig } from "../src/ingress/config.ts";
import { type IngressPlan, inBothFamilies } from "../src/ingress/plan.ts";
import { GOLDEN_SETTINGS, goldenConfig, goldenNames } from "../src/testing/golden-config.ts";

const cases = goldenNames().flatMap((name) => [
  { name, families: "IPv4", change: (plan: IngressPlan) => plan },
  {
    name,
    families: "both families",
    change: (plan: IngressPlan) => ({ ...plan, binds: plan.binds.map(inBothFamilies) }),
  },
]);

for (const { name, families, change } of cases) {
  test(`haproxy -c takes ${name} in ${families} without a warning`, (t) => {
    const folder = mkdtempSync(`${tmpdir()}/bgold-`);
    t.after(() => rmSync(folder, { recursive: true }));
    const { plan } = goldenConfig(name, folder);
    const config = renderConfig(change(plan), { ...GOLDEN_SETTINGS, filesDir: folder });
    const path = `${folder}/haproxy.cfg`;
    for (const [file, text] of [...config.files, [path, config.text] as const]) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    const result = spawnSync("haproxy", ["-c", "-f", path], { encoding: "utf8" });
    assert.equal(result.status, 0, result.stderr);
    assert.doesNotMatch(result.stderr, /WARNING/);
  });
}

const rulesets = ["firewall", "addresses"].flatMap((part) => {
  const folder = fileURLToPath(new URL(`../src/${part}/testdata/`, import.meta.url));
  const files = readdirSync(folder).filter((name) => name.endsWith(".nft"));
  assert.ok(files.length > 0);
  return files.map((name) => `${folder}${name}`);
});

for (const file of rulesets) {
  test(`nft -c takes ${file.split("/").at(-1)}`, () => {
    // In a namespace: a check looks at the kernel's tables as well.
    const args = ["-n", "nft", "-c", "-f", file];
    const result = spawnSync("unshare", args, { encoding: "utf8" });
    assert.equal(result.status, 0, result.stderr);
  });
}
