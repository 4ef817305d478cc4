/**
 * From package files to a root file system: unpacked, completed with what maintainer scripts would have
 * made (users, links, the linker's cache), trimmed of what no container reads.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { runProgram } from "./run-program.ts";

/** Documentation and caches: a third of the size. Copyright files stay. */
const TRIMMED = [
  "usr/share/man",
  "usr/share/info",
  "usr/share/locale",
  "var/cache",
  "usr/share/lintian",
];

const NO_HOME = "/nonexistent";

/** System users by the package that would have made them, with Debian's usual numbers where fixed. */
const PACKAGE_USERS: Readonly<Record<string, { readonly id: number; readonly home: string }>> = {
  postgres: { id: 105, home: "/var/lib/postgresql" },
  redis: { id: 106, home: "/var/lib/redis" },
  nginx: { id: 107, home: NO_HOME },
  app: { id: 1000, home: "/home/app" },
};

/** Merged /usr: Debian's links, which the package usrmerge would make. */
const MERGED = ["bin", "sbin", "lib", "lib64"] as const;

/** Unpacks into `root`, which is new. */
export async function buildRootTree(
  debFiles: readonly string[],
  root: string,
  signal?: AbortSignal,
): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  mkdirSync(root, { recursive: true });
  for (const name of MERGED) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  for (const file of debFiles) await unpack(file, root, options);
  for (const path of TRIMMED) rmSync(join(root, path), { recursive: true, force: true });
  for (const path of ["tmp", "run", "proc", "sys", "dev", "etc", "var/tmp", "home/app"]) {
    mkdirSync(join(root, path), { recursive: true });
  }
  await runProgram(["chmod", "1777", join(root, "tmp"), join(root, "var/tmp")], options);
  for (const { id, home } of Object.values(PACKAGE_USERS)) {
    if (home === NO_HOME) continue;
    // A new volume mounted here takes over its owner: the service may write without being root.
    mkdirSync(join(root, home), { recursive: true });
    await runProgram(["chown", `${id}:${id}`, join(root, home)], options);
  }
  writeUsers(root);
  linkBusybox(root, await appletsOf(root, options));
  await runProgram(["ldconfig", "-r", root], options);
}

/**
 * dpkg-deb replaces a link to a directory by a directory, which would break merged /usr: each package is
 * unpacked aside and copied through the links.
 */
async function unpack(file: string, root: string, options: { readonly signal?: AbortSignal }) {
  const aside = `${root}.package`;
  rmSync(aside, { recursive: true, force: true });
  await runProgram(["dpkg-deb", "--extract", file, aside], options);
  for (const name of MERGED) {
    const real = join(aside, name);
    if (!existsSync(real)) continue;
    cpSync(real, join(aside, "usr", name), { recursive: true, verbatimSymlinks: true });
    rmSync(real, { recursive: true });
  }
  cpSync(aside, root, { recursive: true, verbatimSymlinks: true, force: true });
  rmSync(aside, { recursive: true, force: true });
}

function writeUsers(root: string): void {
  const users = Object.entries(PACKAGE_USERS);
  const passwd = [
    "root:x:0:0:root:/root:/bin/sh",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    ...users.map(([name, { id, home }]) => `${name}:x:${id}:${id}:${name}:${home}:/bin/sh`),
  ];
  const group = [
    "root:x:0:",
    "tty:x:5:",
    "ssl-cert:x:104:postgres",
    "nogroup:x:65534:",
    ...users.map(([name, { id }]) => `${name}:x:${id}:`),
  ];
  writeFileSync(join(root, "etc/passwd"), `${passwd.join("\n")}\n`);
  writeFileSync(join(root, "etc/group"), `${group.join("\n")}\n`);
  const nsswitch = join(root, "etc/nsswitch.conf");
  if (!existsSync(nsswitch)) {
    writeFileSync(nsswitch, "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n");
  }
  mkdirSync(join(root, "root"), { recursive: true, mode: 0o700 });
}

async function appletsOf(root: string, options: { readonly signal?: AbortSignal }) {
  const busybox = join(root, "usr/bin/busybox");
  if (!existsSync(busybox)) return [];
  const list = await runProgram([busybox, "--list"], options);
  return list.split("\n").filter((name) => /^[a-z0-9_.[-]+$/.test(name) && name !== "busybox");
}

/** Links for applets that no real program provides: the shell first of all. */
function linkBusybox(root: string, applets: readonly string[]): void {
  const present = new Set(
    ["usr/bin", "usr/sbin"].flatMap((folder) => readdirSync(join(root, folder))),
  );
  for (const name of applets) {
    if (!present.has(name)) symlinkSync("busybox", join(root, "usr/bin", name));
  }
}

/** Name and version of each package, for the image's label: what is inside must be answerable. */
export async function packageVersions(
  debFiles: readonly string[],
  signal?: AbortSignal,
): Promise<string[]> {
  const versions: string[] = [];
  for (const file of debFiles) {
    const output = await runProgram(
      ["dpkg-deb", "--field", file, "Package", "Version"],
      signal === undefined ? {} : { signal },
    );
    versions.push(output.trim().replace(/^Package: (.*)\nVersion: (.*)$/, "$1=$2"));
  }
  return versions;
}

/** `bookworm` of this host; the base images are of the same release. */
export function hostRelease(): string {
  const text = readFileSync("/etc/os-release", "utf8");
  return /^VERSION_CODENAME=(.*)$/m.exec(text)?.[1] ?? "unknown";
}
