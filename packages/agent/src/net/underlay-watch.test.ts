/** Where other nodes reach this one, followed: told once when it is known, and with every change. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import type { Underlay } from "@berth/protocol";
import { UnderlayWatch } from "./underlay-watch.ts";

test("an address that comes, changes and goes is told each time, one that stays is not", async () => {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const here: Underlay = { address: "192.0.2.7", port: 4_789, mtu: 1_500 };
  let found: Underlay | undefined;
  let told = 0;
  const watch = new UnderlayWatch({
    driver,
    settings: { address: "192.0.2.7", port: 4_789 },
    find: async () => found,
    isOwnInterface: () => false,
    onChanged: () => {
      told++;
    },
  });
  assert.equal(watch.missing, undefined, "nobody has looked yet");
  const look = async (now: Underlay | undefined) => {
    found = now;
    clock.advance(40_000);
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    return [told, watch.found?.mtu, watch.missing];
  };
  assert.deepEqual(await look(undefined), [1, undefined, "192.0.2.7"]);
  assert.deepEqual(await look(here), [2, 1_500, undefined]);
  assert.deepEqual(await look({ ...here }), [2, 1_500, undefined]);
  assert.deepEqual(await look({ ...here, mtu: 9_000 }), [3, 9_000, undefined]);
  assert.deepEqual(await look(undefined), [4, undefined, "192.0.2.7"]);
  await driver.stop();
});
