/** One `ip` for many batches does what a program of its own would have done, also when names come again. */

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { IpSession } from "../src/runtime/ip-session.ts";

/** Interfaces of this test alone, on whatever machine it runs. */
const BRIDGE = `bi${process.pid}`;
const PORT = `vi${process.pid}`;

const ip = (...words: readonly string[]) => execFileSync("ip", words, { encoding: "utf8" });
const gone = (name: string) => spawnSync("ip", ["link", "delete", name]);
const children = () => {
  const own = `/proc/self/task/${process.pid}/children`;
  return readFileSync(own, "utf8")
    .trim()
    .split(" ")
    .filter((pid) => pid !== "");
};

describe("an ip that stays", () => {
  after(() => {
    gone(PORT);
    gone(BRIDGE);
  });
  const session = new IpSession({ timeoutMs: 10_000, idleMs: 300 });
  const bridge = () => {
    gone(BRIDGE);
    ip("link", "add", BRIDGE, "up", "type", "bridge");
  };
  const join = (word: string) =>
    session.run({
      commands: `link add ${PORT} type veth\nlink set ${PORT} master ${BRIDGE}\nlink set ${PORT} alias "${word}"\n`,
      made: [PORT],
      used: [BRIDGE],
    });
  const seen = () => ip("link", "show", "master", BRIDGE);

  it("knows a bridge and an interface that were made anew under the same names", async () => {
    for (const word of ["one", "two", "three"]) {
      bridge();
      assert.equal(await join(word), undefined);
      assert.ok(seen().includes(`alias ${word}`));
      gone(PORT);
      assert.equal(await join(`${word} again`), undefined);
      assert.ok(seen().includes(`alias ${word} again`));
      gone(PORT);
    }
  });

  it("tells what failed, of the batch that failed", async () => {
    const batch = (commands: string) => session.run({ commands, made: [], used: [] });
    const answers = await Promise.all([
      batch("link show dev lo\n"),
      batch(`link set no${process.pid} up\nlink add ${PORT}x type dummy\n`),
      batch("link show dev lo\n"),
    ]);
    assert.equal(answers[0], undefined);
    assert.match(answers[1] ?? "", /Cannot find device/);
    assert.equal(answers[2], undefined);
    // What came after the failure in its batch was not done.
    assert.ok(!readdirSync("/sys/class/net").includes(`${PORT}x`));
  });

  it("is one process for many batches, and none when nothing comes any more", async () => {
    const alone = async () => {
      while (children().length > 0) await delay(10);
    };
    await alone();
    const seenPids = new Set<string>();
    for (let round = 0; round < 5; round++) {
      await session.run({ commands: "link show dev lo\n", made: [`${PORT}${round}`], used: [] });
      for (const pid of children()) seenPids.add(pid);
    }
    assert.equal(seenPids.size, 1);
    await alone();
  });
});
