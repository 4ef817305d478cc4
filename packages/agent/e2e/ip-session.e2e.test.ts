/** One `ip` for many batches does what a program of its own would have done, also when names come again. */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as pathOf } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { InsideSession } from "../src/runtime/inside-session.ts";
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

describe("an ip inside of namespaces", () => {
  const folder = mkdtempSync(pathOf(tmpdir(), "berth-inside-"));
  const session = new InsideSession(folder, { timeoutMs: 10_000, idleMs: 300 });
  const held: ChildProcess[] = [];
  after(() => {
    for (const child of held) child.kill("SIGKILL");
    assert.deepEqual(readdirSync(folder), []);
    session.close();
    rmSync(folder, { recursive: true });
  });
  /** A process in a namespace of its own, its identifier is the namespace's. */
  const namespace = async () => {
    const child = spawn("unshare", ["--net", "sleep", "1000"], { stdio: "ignore" });
    held.push(child);
    const { pid = 0 } = child;
    const own = readlinkSync("/proc/self/ns/net");
    while (readlinkSync(`/proc/${pid}/ns/net`) === own) await delay(5);
    return pid;
  };
  const addresses = (pid: number) =>
    execFileSync("nsenter", [`--net=/proc/${pid}/ns/net`, "ip", "-o", "addr"], {
      encoding: "utf8",
    });
  const setUp = (address: string) => `link set lo up\naddr add ${address}/32 dev lo\n`;

  it("gives each namespace its own, and what it leaves is nothing", async () => {
    const pids = [await namespace(), await namespace(), await namespace()];
    const answers = await Promise.all(
      pids.map((pid, index) => session.run(pid, setUp(`10.9.8.${index}`))),
    );
    assert.deepEqual(answers, [undefined, undefined, undefined]);
    assert.equal(children().length, held.length + 1);
    for (const [index, pid] of pids.entries()) {
      const seen = [...addresses(pid).matchAll(/10\.9\.8\.\d/g)].map(([address]) => address);
      assert.deepEqual(seen, [`10.9.8.${index}`]);
    }
    while (children().length > held.length) await delay(10);
  });

  it("reads nothing of a batch that comes after its own", async () => {
    const pid = await namespace();
    // Each longer than the one before: who looks again where its own has ended would find more.
    for (let count = 1; count <= 60; count++) {
      const more = "link set lo up\n".repeat(count);
      assert.equal(await session.run(pid, more), undefined, `batch ${count}`);
    }
  });

  it("tells what failed, of the batch that failed", async () => {
    const pid = await namespace();
    const answers = await Promise.all([
      session.run(pid, setUp("10.9.8.1")),
      session.run(pid, `link set no0 up\n${setUp("10.9.8.2")}`),
      session.run(0, ""),
      session.run(pid, "addr add 10.9.8.3/32 dev lo\n"),
    ]);
    assert.equal(answers[0], undefined);
    assert.match(answers[1] ?? "", /Cannot find device/);
    assert.match(answers[2] ?? "", /cannot open \/proc\/0/);
    assert.equal(answers[3], undefined);
    const seen = addresses(pid);
    // What came after the failure in its batch was not done.
    assert.ok(seen.includes("10.9.8.1") && seen.includes("10.9.8.3") && !seen.includes("10.9.8.2"));
  });
});
