/** The script that a new host runs: what it says and that a shell understands it. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { renderJoinScript } from "./join-script.ts";

const FACTS = {
  files: [
    { path: "node", digest: `sha256:${"a".repeat(64)}`, bytes: 1 },
    { path: "bundle/berth.mjs", digest: `sha256:${"b".repeat(64)}`, bytes: 2 },
  ],
  version: "0.1.0+c0ffee",
  architecture: "x64",
  serverPin: "cGlu/+A=",
  fingerprint: "AA:BB",
};

test("the script names every file by its digest, and a POSIX shell can read it", () => {
  const script = renderJoinScript(FACTS);
  for (const { path, digest } of FACTS.files) assert.ok(script.includes(`${digest} ${path}\n`));
  assert.ok(script.includes(`pin='${FACTS.serverPin}'`));
  execFileSync("sh", ["-n"], { input: script });
});

test("nothing that a shell would act on gets into it", () => {
  for (const version of ["0.1'0", "$(id)", "a b", ""]) {
    assert.throws(() => renderJoinScript({ ...FACTS, version }), /plain/, version);
  }
});

test("without a URL or a token, and on another machine, it ends before it does anything", () => {
  const script = renderJoinScript({ ...FACTS, architecture: "riscv64" });
  const run = (...words: string[]) => {
    const environment = { PATH: process.env["PATH"], BERTH_PREFIX: "/nowhere" };
    try {
      const options = { input: script, env: environment, stdio: "pipe" } as const;
      return execFileSync("sh", ["-s", "--", ...words], options).toString();
    } catch (error) {
      return String(Object(error).stderr);
    }
  };
  assert.match(run(), /the URL of the cluster/);
  assert.match(run("https://10.0.0.1:7711"), /a token, by berth node join/);
  const words = run("https://10.0.0.1:7711", "bj_x");
  assert.match(words, /this needs root|the server has Berth for Linux on riscv64/);
});
