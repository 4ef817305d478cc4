/**
 * The supervisor of a machine without systemd: keeps server, agent and (where Berth started it) the engine
 * running. Small on purpose: it knows processes, nothing of clusters.
 */

import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Driver, lineLogger, Prng, systemClock } from "@berth/base";
import { rotateLog } from "../platform/log-rotation.ts";
import { dataDirOf, platformPaths } from "../platform/paths.ts";
import { livingProcess, writeProcessRecord } from "../platform/process-record.ts";
import { processTable } from "../platform/process-table.ts";
import { readSettings } from "../platform/settings.ts";
import { SupervisedProcess } from "../platform/supervised-process.ts";

/** A look at everything at least this often, and at once when a child ends. */
const TEND_PERIOD_MS = 5_000;
const ROTATION_PERIOD_MS = 60_000;

function main(): void {
  const userId = process.getuid?.() ?? 0;
  const paths = platformPaths(dataDirOf(process.env, userId), process.env, userId);
  const log = lineLogger({
    write: (line) => process.stderr.write(line),
    now: systemClock.now,
    fields: { process: "supervisor" },
  });
  const record = join(paths.processes, "supervisor");
  const other = livingProcess(record);
  if (other !== undefined && other !== process.pid) {
    log.error("another supervisor runs", { pid: other });
    process.exit(1);
  }
  mkdirSync(paths.processes, { recursive: true, mode: 0o700 });
  writeProcessRecord(record, process.pid);

  const driver = new Driver({ clock: systemClock, log, prng: new Prng(process.pid) });
  const options = { clock: systemClock, log, onEnd: () => tend.wake() };
  const supervised = processTable(readSettings(paths.settings), paths).map(
    (description) => new SupervisedProcess(description, options),
  );
  const tend = driver.add({
    name: "tend-processes",
    purpose: "starts what does not run, adopts what does",
    periodMs: TEND_PERIOD_MS,
    run: () => {
      const wishes = supervised.flatMap((one) => one.tend() ?? []);
      return wishes.length === 0 ? undefined : { againMs: Math.min(...wishes) };
    },
  });
  driver.add({
    name: "rotate-logs",
    purpose: "keeps log files small",
    periodMs: ROTATION_PERIOD_MS,
    run: () => {
      for (const { description } of supervised) rotateLog(description.logFile);
      rotateLog(join(paths.logs, "supervisor.log"));
    },
  });
  mkdirSync(paths.run, { recursive: true, mode: 0o700 });
  serveStatus(join(paths.run, "supervisor.sock"), supervised);
}

/**
 * Answers each connection with what is supervised, as one JSON line. Being open also keeps the process
 * alive: the clock's timers do not.
 */
function serveStatus(socketPath: string, supervised: readonly SupervisedProcess[]): void {
  rmSync(socketPath, { force: true });
  const server = createServer((socket) => {
    const processes = supervised.map((one) => ({ name: one.description.name, pid: one.pid() }));
    socket.on("error", () => socket.destroy());
    socket.end(`${JSON.stringify({ pid: process.pid, processes })}\n`);
  });
  server.listen(socketPath, () => chmodSync(socketPath, 0o600));
  process.once("SIGTERM", () => process.exit(0));
  process.once("SIGINT", () => process.exit(0));
}

main();
