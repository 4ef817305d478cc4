/**
 * The victim of the crash tests: a process that writes to a SQLite store until it is killed. Each write is
 * told on standard output only after it was acknowledged, so the test knows what must be there.
 *
 * Arguments: the database file, a name for this round, how many writers, how many writes each.
 * When all is written it kills itself, so that nothing is closed in order.
 */

import { writeSync } from "node:fs";
import { silentLogger, systemClock } from "@berth/base";
import { put } from "./contract-subject.ts";
import { openSqliteStore } from "./sqlite.ts";

const [path = "", round = "", writers = "1", writes = "1"] = process.argv.slice(2);
const store = await openSqliteStore({ path, clock: systemClock, log: silentLogger });
const filler = "x".repeat(900);

await Promise.all(
  Array.from({ length: Number(writers) }, async (_, writer) => {
    for (let index = 1; index <= Number(writes); index++) {
      const key = `k/${round}/${writer}/${index}`;
      const { revision } = await put(store, key, JSON.stringify({ index, filler }));
      writeSync(1, `${key} ${revision}\n`);
    }
  }),
);
process.kill(process.pid, "SIGKILL");
