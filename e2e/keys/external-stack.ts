/** Configs and secrets that the environment has apart from stacks: made before, changed between two deploys. */

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../test-platform.ts";
import { QUICK } from "./process-stack.ts";
import type { KeyStack, Scene } from "./scene.ts";

/** Mode, owner and content of a file in a container that runs now. */
function fileAt(at: Scene, service: string, path: string): readonly [string, string, string] {
  const pid = at.containers(service)[0]?.State.Pid;
  const file = `/proc/${pid}/root${path}`;
  const { mode, uid, gid } = statSync(file);
  return [(mode & 0o7777).toString(8), `${uid}:${gid}`, readFileSync(file, "utf8")];
}

let folder = "";

export const EXTERNAL: KeyStack = {
  name: "external",
  files: {
    "settings.conf": "settings of the environment",
    "key.txt": "key of the environment",
    "key-2.txt": "key that came later",
  },
  prepare: async (platform, inFolder) => {
    folder = inFolder;
    const file = (name: string) => ["--file", join(folder, name)];
    await platform.must("secret", "create", "token", ...file("key.txt"));
    await platform.must("secret", "create", "shop.key", ...file("key.txt"));
    await platform.must("config-file", "create", "settings", ...file("settings.conf"));
    await platform.must("config-file", "create", "named.conf", ...file("settings.conf"));
  },
  compose: `
services:
  app:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    configs:
      - settings
      - {source: other, target: /etc/named.conf, uid: "12", gid: "34", mode: 0o440}
    secrets:
      - token
      - old-form
      - {source: renamed, target: own-name, uid: "56", gid: "78", mode: 0o400}
  bystander:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    configs: [settings, old-form]
configs:
  old-form: {external: {name: named.conf}}
  settings: {external: true}
  other: {external: true, name: named.conf}
  nobodys: {external: true, name: not-there}
secrets:
  token: {external: true}
  renamed: {external: true, name: shop.key}
  old-form: {external: {name: shop.key}}
`,
  checks: [
    {
      keys: [
        "configs.*.external",
        "configs.*.external.name",
        "configs.*.name",
        "secrets.*.external",
        "secrets.*.external.name",
        "secrets.*.name",
      ],
      says: "files of the environment are in the container, with target, owner and mode",
      look: (at) => {
        const settings = "settings of the environment";
        assert.deepEqual(fileAt(at, "app", "/settings"), ["444", "0:0", settings]);
        assert.deepEqual(fileAt(at, "app", "/etc/named.conf"), ["440", "12:34", settings]);
        const key = "key of the environment";
        assert.deepEqual(fileAt(at, "app", "/run/secrets/token"), ["444", "0:0", key]);
        assert.deepEqual(fileAt(at, "app", "/run/secrets/own-name"), ["400", "56:78", key]);
        assert.deepEqual(fileAt(at, "app", "/run/secrets/old-form"), ["444", "0:0", key]);
        assert.deepEqual(fileAt(at, "bystander", "/old-form"), ["444", "0:0", settings]);
      },
    },
    {
      keys: ["secrets.*.external"],
      says: "another content reaches a container with the next deploy, and only those who use it; a rollback brings the old one",
      look: async (at) => {
        const before = at.containers("app")[0]?.Id;
        const bystander = at.containers("bystander")[0]?.Id;
        const other = join(folder, "key-2.txt");
        const said = await at.platform.must("secret", "update", "token", "--file", other);
        assert.match(said, /is at version 2[\s\S]*used by: external/);
        assert.equal(at.containers("app")[0]?.Id, before);
        const file = join(folder, "compose.yaml");
        await at.platform.must("deploy", "-f", file, "--stack", at.stack);
        const key = () => fileAt(at, "app", "/run/secrets/token")[2];
        await eventually("only the new copy runs", () => at.containers("app").length === 1);
        assert.equal(key(), "key that came later");
        assert.equal(at.containers("bystander")[0]?.Id, bystander);
        await at.platform.must("rollback", at.stack);
        await eventually("only the copy of before runs", () => {
          return at.containers("app").length === 1 && key() === "key of the environment";
        });
      },
    },
    {
      keys: ["secrets.*.external", "configs.*.external"],
      says: "what is used is not removed, and what is missing is named with its line and the nearest name",
      look: async (at) => {
        const removal = await at.platform.berth("secret", "rm", "token");
        assert.equal(removal.code, 1);
        assert.match(removal.stderr, /used by external/);
        const file = join(folder, "wrong.yaml");
        const text =
          "services: {app: {image: berth/busybox, secrets: [tokem]}}\nsecrets:\n  tokem: {external: true}\n";
        writeFileSync(file, text);
        const { code, stderr } = await at.platform.berth("deploy", "-f", file, "--stack", "wrong");
        assert.equal(code, 2);
        assert.match(stderr, /wrong\.yaml:3:3 .*no secret "tokem"; did you mean token\?/);
        const shown = await at.platform.must("secret", "describe", "token");
        assert.doesNotMatch(shown, /key of|key that/);
      },
    },
  ],
};
