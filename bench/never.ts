/** `script/bench never`: the whole of the never-fail test, as a figure. See e2e/load. */

import { DISTURBANCES, type DisturbanceName } from "../e2e/load/disturbances.ts";
import { neverFail, reportLines } from "../e2e/load/never-fail.ts";
import { TestPlatform } from "../e2e/test-platform.ts";

const NAMES = Object.keys(DISTURBANCES) as DisturbanceName[];

function plan(words: readonly string[]): DisturbanceName[] {
  const [only] = words;
  if (only === undefined) return NAMES;
  return only.split(",").map((word) => {
    const name = NAMES.find((each) => each === word);
    if (name === undefined) throw new SyntaxError(`unknown: ${word}; one of ${NAMES.join(", ")}`);
    return name;
  });
}

const [manner = "well", requests = "0", ...rest] = process.argv.slice(2);
const platform = await TestPlatform.prepare();
platform.useBundle();
await platform.startPlatform();
const report = await neverFail({
  platform,
  engineSocket: "/var/run/docker.sock",
  manner: manner === "naive" ? "naive" : "well",
  plan: plan(rest),
  requestsMin: Number(requests),
  drainMs: 3_000,
  pauseMs: 20,
  say: (line) => console.log(line),
});
for (const line of reportLines(report)) console.log(line);
await platform.uninstall();
process.exit();
