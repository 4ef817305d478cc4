/** Volumes, binds, memory, configs and secrets. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { docker } from "../engine.ts";
import { QUICK } from "./process-stack.ts";
import { host, type KeyStack, type Scene } from "./scene.ts";

/** A folder of this machine that the test may fill. */
const HOST_FOLDER = `/tmp/berth-keys-${randomUUID().slice(0, 8)}`;

/** The mount at `target` as the engine has it. */
function mountAt(at: Scene, service: string, target: string): Readonly<Record<string, unknown>> {
  const found = at.container(service).Mounts.find((one) => one["Destination"] === target);
  assert.ok(found !== undefined, `nothing is mounted at ${target}`);
  return found;
}

/** Options with which the kernel has mounted `target`. */
function optionsAt(at: Scene, service: string, target: string): string {
  const line = at
    .proc(service, "mountinfo")
    .split("\n")
    .find((one) => one.split(" ")[4] === target);
  assert.ok(line !== undefined, `the kernel has nothing at ${target}`);
  return line;
}

/** Mode, owner and content of a file inside. */
function fileAt(at: Scene, service: string, path: string): readonly [string, string, string] {
  const file = `/proc/${at.container(service).State.Pid}/root${path}`;
  const { mode, uid, gid } = statSync(file);
  return [(mode & 0o7777).toString(8), `${uid}:${gid}`, readFileSync(file, "utf8")];
}

export const STORAGE: KeyStack = {
  name: "storage",
  environment: { TOKEN: "of the environment", CONFIG_TEXT: "config of the environment" },
  files: {
    "site/index.html": "carried",
    "app.conf": "from a file",
    "key.txt": "secret of a file",
    "seed/first": "seeded",
    "one.txt": "one file",
  },
  compose: `
services:
  app:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    volumes:
      - data:/data
      - data:/again:ro
      - {type: volume, source: data, target: /nocopy, volume: {nocopy: true}}
      - {type: volume, source: memory, target: /memory}
      - /anonymous
      - {type: tmpfs, target: /fast, tmpfs: {size: 2m, mode: 0o1700}}
      - ./site:/site:ro
      - ./one.txt:/one.txt:ro
      - ./seed:/seeded
      - ${HOST_FOLDER}/made:/made:z
      - {type: bind, source: ${HOST_FOLDER}, target: /slave, read_only: true, bind: {create_host_path: true, propagation: rslave}}
      - {type: bind, source: /sys/fs, target: /shallow, bind: {recursive: disabled}}
      - {type: volume, source: outside, target: /outside}
      - {type: volume, source: outside-too, target: /outside-too, read_only: true}
    configs:
      - inline
      - {source: file, target: /etc/app.conf, uid: "12", gid: "34", mode: 0o440}
      - {source: variable, target: /variable.conf}
    secrets:
      - token
      - {source: file, target: renamed, uid: "56", gid: "78", mode: 0o400}
      - {source: file, target: /absolute/secret}
volumes:
  data: {labels: {of: volume}, name: my-data}
  memory: {driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: "size=3m,uid=99"}}
  outside: {external: true, name: berth-keys-outside}
  outside-too: {external: {name: berth-keys-outside}}
configs:
  inline: {content: "inline $$text"}
  file: {file: ./app.conf}
  variable: {environment: CONFIG_TEXT}
secrets:
  token: {environment: TOKEN}
  file: {file: ./key.txt}
`,
  checks: [
    {
      keys: ["services.*.volumes.type", "services.*.volumes.source", "services.*.volumes.target"],
      says: "one volume is the same at all its targets",
      look: (at) => {
        at.inside("app", "sh", "-c", "echo kept > /data/file");
        assert.equal(at.inside("app", "cat", "/again/file", "/nocopy/file"), "kept\nkept");
        const names = ["/data", "/again", "/nocopy"].map((one) => mountAt(at, "app", one)["Name"]);
        assert.equal(new Set(names).size, 1);
      },
    },
    {
      keys: ["services.*.volumes.read_only"],
      says: "a volume that is mounted read-only cannot be written there",
      look: (at) => assert.match(at.try("app", "touch /again/x"), /Read-only file system/),
    },
    {
      keys: ["services.*.volumes.volume.nocopy"],
      says: "the engine is told not to copy the image's files",
      look: (at) => {
        const mounts = at.container("app").HostConfig["Mounts"] as readonly {
          readonly Target: string;
          readonly VolumeOptions?: { readonly NoCopy?: boolean };
        }[];
        const noCopy = (target: string) =>
          mounts.find(({ Target }) => Target === target)?.VolumeOptions?.NoCopy ?? false;
        assert.deepEqual([noCopy("/nocopy"), noCopy("/data")], [true, false]);
      },
    },
    {
      keys: ["volumes.*.labels", "volumes.*.name"],
      says: "the volume at the engine has the labels",
      look: (at) => {
        const name = String(mountAt(at, "app", "/data")["Name"]);
        const labels = JSON.parse(docker("volume", "inspect", "-f", "{{json .Labels}}", name));
        assert.equal(labels["of"], "volume");
        assert.equal(labels["berth.cluster"], at.platform.cluster);
      },
    },
    {
      keys: ["volumes.*.driver", "volumes.*.driver_opts"],
      says: "the driver made the volume with its options",
      look: (at) => assert.match(optionsAt(at, "app", "/memory"), /tmpfs .*size=3072k.*uid=99/),
    },
    {
      keys: ["volumes.*.external", "volumes.*.external.name"],
      says: "an external volume is the one that was there",
      look: (at) => {
        assert.equal(mountAt(at, "app", "/outside")["Name"], "berth-keys-outside");
        assert.equal(at.inside("app", "ls", "/outside"), "made-by-hand");
        assert.equal(at.inside("app", "ls", "/outside-too"), "made-by-hand");
      },
    },
    {
      keys: ["services.*.volumes.target"],
      says: "an anonymous volume is there",
      look: (at) => assert.equal(mountAt(at, "app", "/anonymous")["Type"], "volume"),
    },
    {
      keys: ["services.*.volumes.tmpfs.size", "services.*.volumes.tmpfs.mode"],
      says: "memory has size and mode",
      look: (at) => assert.match(optionsAt(at, "app", "/fast"), /tmpfs .*size=2048k,mode=1700/),
    },
    {
      keys: ["services.*.volumes.source"],
      says: "relative paths are carried: directories, files, and seeds that may be written",
      look: (at) => {
        assert.equal(at.inside("app", "cat", "/site/index.html", "/one.txt"), "carriedone file");
        assert.match(at.try("app", "touch /site/x"), /Read-only file system/);
        assert.equal(
          at.inside("app", "sh", "-c", "cat /seeded/first; touch /seeded/x; ls /seeded"),
          "seededfirst\nx",
        );
      },
    },
    {
      keys: [
        "services.*.volumes.bind.create_host_path",
        "services.*.volumes.bind.selinux",
        "services.*.volumes.bind.propagation",
      ],
      says: "a path of the host is made when it is missing, relabelled and propagated as the file says",
      look: (at) => {
        writeFileSync(`${HOST_FOLDER}/made/by-host`, "seen");
        assert.equal(at.inside("app", "cat", "/made/by-host"), "seen");
        assert.deepEqual(at.container("app").HostConfig["Binds"], [
          `${HOST_FOLDER}/made:/made:rw,z`,
          `${HOST_FOLDER}:/slave:ro,rslave`,
        ]);
        assert.equal(mountAt(at, "app", "/slave")["Propagation"], "rslave");
        assert.match(optionsAt(at, "app", "/slave"), /\sro,.*master:/);
      },
    },
    {
      keys: ["services.*.volumes.bind.recursive"],
      says: "mounts below a bind are left out where the file says so",
      look: (at) => {
        const below = at
          .proc("app", "mountinfo")
          .split("\n")
          .filter((line) => line.includes(" /shallow/"));
        assert.deepEqual(below, []);
        optionsAt(at, "app", "/shallow");
      },
    },
    {
      keys: ["configs.*.content", "services.*.configs.source"],
      says: "a config is a file at the root, readable by all",
      look: (at) => assert.deepEqual(fileAt(at, "app", "/inline"), ["444", "0:0", "inline $text"]),
    },
    {
      keys: [
        "configs.*.file",
        "services.*.configs.target",
        "services.*.configs.uid",
        "services.*.configs.gid",
        "services.*.configs.mode",
      ],
      says: "a config of a file has target, owner and mode",
      look: (at) =>
        assert.deepEqual(fileAt(at, "app", "/etc/app.conf"), ["440", "12:34", "from a file"]),
    },
    {
      keys: ["configs.*.environment", "secrets.*.environment", "services.*.secrets.source"],
      says: "configs and secrets of variables have their values",
      look: (at) => {
        assert.equal(fileAt(at, "app", "/variable.conf")[2], "config of the environment");
        assert.deepEqual(fileAt(at, "app", "/run/secrets/token"), [
          "444",
          "0:0",
          "of the environment",
        ]);
      },
    },
    {
      keys: [
        "secrets.*.file",
        "services.*.secrets.target",
        "services.*.secrets.uid",
        "services.*.secrets.gid",
        "services.*.secrets.mode",
      ],
      says: "a secret of a file has target, owner and mode, and lies in memory",
      look: (at) => {
        const expected = ["400", "56:78", "secret of a file"];
        assert.deepEqual(fileAt(at, "app", "/run/secrets/renamed"), expected);
        assert.equal(fileAt(at, "app", "/absolute/secret")[2], "secret of a file");
        assert.match(optionsAt(at, "app", "/run/secrets/renamed"), / - (tmpfs|ramfs) /);
      },
    },
  ],
};

/** What a person made before the stack: a shared mount, and the external volume with a file. */
export function prepareStorage(): void {
  mkdirSync(HOST_FOLDER);
  host("mount", "-t", "tmpfs", "tmpfs", HOST_FOLDER);
  host("mount", "--make-shared", HOST_FOLDER);
  docker("volume", "create", "berth-keys-outside");
  const run = ["run", "--rm", "--network", "none", "-v", "berth-keys-outside:/v"];
  docker(...run, "berth/busybox", "touch", "/v/made-by-hand");
}

export function removeStorage(): void {
  docker("volume", "rm", "berth-keys-outside");
  host("umount", HOST_FOLDER);
  rmSync(HOST_FOLDER, { recursive: true });
}
