/** One nft for many commands says of each what a program of its own would have said. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { type TestContext, test } from "node:test";
import { systemClock } from "@berth/base";
import { NftSession } from "../src/nft-session.ts";
import { inNamespace } from "./lab.ts";

const TABLE = `table inet session {}
delete table inet session
table inet session { chain first {}; map copies { type ipv4_addr : verdict; }; }
`;

function sessionOf(t: TestContext, more: { nftProgram?: string; commandsMax?: number } = {}) {
  const folder = mkdtempSync(`${tmpdir()}/bnft-`);
  const file = `${folder}/change.nft`;
  const nft = new NftSession({ nftProgram: "nft", clock: systemClock, file, ...more });
  t.after(() => {
    nft.close();
    rmSync(folder, { recursive: true });
  });
  return nft;
}

function listed(): string {
  return execFileSync("nft", ["list", "table", "inet", "session"], { encoding: "utf8" });
}

/** Children of this process that are an interactive nft. */
function nftPids(): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || !existsSync(`/proc/${pid}/stat`)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return stat.includes("(nft)") && state !== "Z" && parent === String(process.pid);
    } catch {
      return false;
    }
  });
}

inNamespace(import.meta.url, () => {
  test("a transaction is done as a whole, or refused as a whole with nft's words", async (t) => {
    const nft = sessionOf(t);
    assert.deepEqual(await nft.apply(TABLE), { kind: "done", stdout: "" });
    const change =
      "add chain inet session second\nadd element inet session copies { 10.0.0.1 : goto second }\n";
    assert.equal((await nft.apply(change)).kind, "done");
    const before = listed();
    const refused = await nft.apply(
      "add chain inet session third\ndelete chain inet session none\n",
    );
    assert.equal(refused.kind, "refused");
    assert.match(
      refused.kind === "refused" ? refused.detail : "",
      /No such file.*chain inet session none/s,
    );
    assert.equal(listed(), before);
    assert.match(before, /10\.0\.0\.1 : goto second/);
  });

  test("a refusal does not colour the answers after it", async (t) => {
    const nft = sessionOf(t);
    await nft.apply(TABLE);
    const answers = await Promise.all([
      nft.list("list table inet none"),
      nft.list("list table inet session"),
      nft.apply("no rules at all\n"),
      nft.apply("add chain inet session fourth\n"),
    ]);
    assert.deepEqual(
      answers.map(({ kind }) => kind),
      ["refused", "done", "refused", "done"],
    );
  });

  test("a listing is JSON, also one that no pipe holds at once", async (t) => {
    const nft = sessionOf(t);
    await nft.apply(TABLE);
    const elements = Array.from(
      { length: 5_000 },
      (_, at) => `10.1.${at >> 8}.${at & 255} : goto first`,
    );
    await nft.apply(`add element inet session copies { ${elements.join(", ")} }\n`);
    const result = await nft.list("list map inet session copies");
    assert.equal(result.kind, "done");
    const parsed = JSON.parse(result.kind === "done" ? result.stdout : "");
    assert.equal(parsed.nftables[1].map.elem.length, elements.length);
  });

  test("a process that is killed fails no later command", async (t) => {
    const nft = sessionOf(t);
    await nft.apply(TABLE);
    const [pid] = nftPids();
    process.kill(Number(pid), "SIGKILL");
    // What was asked of the dead one may fail, and says so.
    await nft.list("list chains inet");
    assert.equal((await nft.apply("add chain inet session fifth\n")).kind, "done");
    assert.notDeepEqual(nftPids(), [pid]);
  });

  test("after enough commands another process is taken, and never a second one at a time", async (t) => {
    const nft = sessionOf(t, { commandsMax: 3 });
    const seen = new Set<string>();
    for (let command = 0; command < 7; command++) {
      assert.equal((await nft.apply(TABLE)).kind, "done");
      const pids = nftPids();
      assert.equal(pids.length, 1);
      seen.add(String(pids[0]));
    }
    assert.equal(seen.size, 3);
  });

  test("a program that is missing is told as missing, each time", async (t) => {
    const nft = sessionOf(t, { nftProgram: "berth-no-such-nft" });
    assert.deepEqual(await nft.apply(TABLE), { kind: "missing" });
    assert.deepEqual(await nft.list("list chains inet"), { kind: "missing" });
  });
});
