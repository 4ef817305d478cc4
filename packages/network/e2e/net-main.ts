/** The `net` process as the CLI composes it, for tests that kill it: `node net-main.ts FOLDER`. */

import { Driver, lineLogger, Prng, systemClock } from "@berth/base";
import { runNet } from "../src/process.ts";

const [dataDir = ""] = process.argv.slice(2);
const log = lineLogger({ write: (line) => process.stderr.write(line), now: Date.now });
const driver = new Driver({ clock: systemClock, log, prng: new Prng(1) });
const net = await runNet({ dataDir, clock: systemClock, log, driver });
process.once("SIGTERM", () => void net.stop({ ingress: false }));
process.stdout.write("ready\n");
await net.stopped;
