/** keepalived's file from floating addresses, read by keepalived itself where it is installed. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { checkText, type PlacedFloating, vrrpConfig } from "./config.ts";
import { interfaceFor } from "./interface-for.ts";

const GOLDEN = new URL("testdata/two-addresses.conf", import.meta.url);
const SETTINGS = { checkProgram: "/var/lib/berth/net/vrrp/answers" };

const FIRST: PlacedFloating = {
  address: "192.0.2.10/24",
  interface: "eth0",
  router: 51,
  priority: 250,
  source: "192.0.2.1",
  peers: ["192.0.2.3", "192.0.2.2"],
};
/** Of the only node: there is nobody to speak to. */
const SECOND = { ...FIRST, address: "192.0.2.11/24", router: 52, priority: 249, peers: [] };

test("two addresses are two instances, in order, with the nodes that share them", () => {
  const text = vrrpConfig([SECOND, FIRST], SETTINGS);
  if (process.env["BERTH_GOLDEN"] !== undefined) writeFileSync(GOLDEN, text);
  assert.equal(text, readFileSync(GOLDEN, "utf8"));
  assert.equal(vrrpConfig([FIRST, SECOND], SETTINGS), text);
});

const isInstalled = spawnSync("keepalived", ["--version"]).error === undefined;
/** keepalived looks the interface up. */
const outside = Object.entries(networkInterfaces()).find(([, all]) =>
  all?.some(({ internal, family }) => !internal && family === "IPv4"),
)?.[0];
const skip = isInstalled && outside !== undefined ? false : "no keepalived, or no network";

test("keepalived reads it", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-vrrp-"));
  const checkProgram = join(folder, "answers");
  const file = join(folder, "keepalived.conf");
  writeFileSync(checkProgram, checkText(8_080), { mode: 0o700 });
  const part = { ...FIRST, interface: outside ?? "" };
  const read = (text: string) => {
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync("keepalived", ["--config-test", "-f", file]);
    return { status, words: `${stdout}${stderr}` };
  };
  const good = read(vrrpConfig([part], { checkProgram }));
  assert.equal(good.status, 0, good.words);
  const bad = read(vrrpConfig([{ ...part, router: 300 }], { checkProgram }));
  assert.notEqual(bad.status, 0, "and refuses what is wrong");
  rmSync(folder, { recursive: true });
});

test("an address belongs to the interface with the narrowest range around it, or the named one", () => {
  const interfaces = [
    { name: "eth0", cidr: "10.0.0.5/8" },
    { name: "eth1", cidr: "10.1.2.5/24" },
    { name: "eth2", cidr: "10.1.2.10/24" },
    { name: "lo", cidr: "127.0.0.1/8" },
  ];
  const where = (address: string, name?: string) =>
    interfaceFor({ address, ...(name === undefined ? {} : { interface: name }) }, interfaces);
  assert.deepEqual(
    [
      where("10.1.2.10/24"),
      where("10.9.9.9/8"),
      where("192.0.2.1/24"),
      where("192.0.2.1/24", "lo"),
    ],
    ["eth1", "eth0", undefined, "lo"],
  );
  assert.equal(where("10.1.2.10/24", "eth9"), undefined);
});
