/** Real processes, on the machine's clock: what is tested is what the kernel does. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Driver, Prng, silentLogger, sleep, systemClock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { NetSupervisor } from "./net-supervisor.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-supervisor-"));
const started = new Set<number>();
after(() => {
  for (const pid of started) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A `net` that answers while its process lives. The process itself is a sleep. */
function bench() {
  let pid: number | undefined;
  let ups = 0;
  const net = {
    status: async () => {
      if (pid === undefined || !isAlive(pid)) throw new ProtocolError("unavailable", "no answer");
      const part = { state: "ok" as const, generation: 0, problems: [] };
      const report = { generation: 0, dns: part, ingress: part, firewall: part };
      return { ...report, pid, startedAt: 0, boundPorts: [], loops: [] };
    },
  };
  const life = () => {
    const driver = new Driver({ clock: systemClock, log: silentLogger, prng: new Prng(1) });
    const log = {
      ...silentLogger,
      info: (_message: string, fields?: Readonly<Record<string, unknown>>) => {
        const told = fields?.["pid"];
        if (typeof told === "number") {
          pid = told;
          started.add(told);
        }
      },
    };
    const supervisor = new NetSupervisor({
      net,
      command: ["sleep", "60"],
      environment: { PATH: process.env["PATH"] ?? "" },
      logPath: join(directory, "logs", "net.log"),
      socketPath: join(directory, "net.sock"),
      clock: systemClock,
      driver,
      log,
      onUp: () => ups++,
    });
    return { driver, supervisor };
  };
  return { life, ups: () => ups, pid: () => pid };
}

async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + 8_000;
  while (!done()) {
    assert.ok(performance.now() < end, "in time");
    await sleep(systemClock, 10);
  }
}

test("net is started, restarted when killed, left alone at the end, and adopted", async () => {
  const keepAlive = setInterval(() => {}, 1_000);
  const { life, ups, pid } = bench();
  const first = life();
  await until(() => first.supervisor.pid !== undefined);
  const before = pid();
  assert.equal(ups(), 1);
  process.kill(before ?? 0, "SIGKILL");
  await until(() => first.supervisor.pid !== undefined && first.supervisor.pid !== before);
  assert.equal(ups(), 2);
  const running = pid();
  await first.driver.stop();
  assert.ok(isAlive(running ?? 0), "the agent's end does not end it");
  const second = life();
  await until(() => second.supervisor.pid !== undefined);
  assert.equal(second.supervisor.pid, running);
  process.kill(running ?? 0, "SIGKILL");
  await until(() => second.supervisor.pid !== undefined && second.supervisor.pid !== running);
  await second.driver.stop();
  clearInterval(keepAlive);
});
