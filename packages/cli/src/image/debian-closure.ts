/**
 * From the names of Debian packages to their files on disk: everything they need, nothing of what the host
 * happens to have installed.
 *
 * apt resolves against an empty list of installed packages, with the host's own sources, keys and
 * proxies: what works for the host works here, also with a mirror in a closed network.
 */

import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "./run-program.ts";

/**
 * Packages that only maintainer scripts need. Those scripts never run here: files are unpacked, no package
 * is configured, so their tools would be dead weight of 60 MB.
 */
const MAINTAINER_TOOLS: ReadonlySet<string> = new Set([
  "adduser",
  "debconf",
  "dpkg",
  "init-system-helpers",
  "libfile-find-rule-perl",
  "libnumber-compare-perl",
  "libperl5.36",
  "libtext-glob-perl",
  "lsb-base",
  "passwd",
  "perl",
  "perl-base",
  "perl-modules-5.36",
  "sysvinit-utils",
  "tar",
  "ucf",
  "usrmerge",
]);

/** What every base image has: directories and release files, a shell and small tools in one file. */
export const BASE_PACKAGES = ["base-files", "netbase", "libc-bin", "busybox-static"] as const;

export interface Closure {
  /** Paths of .deb files, sorted. */
  readonly files: readonly string[];
}

/** Downloads `packages` and what they depend on into `folder`. Takes seconds and some 25 MB. */
export async function downloadClosure(
  packages: readonly string[],
  folder: string,
  signal?: AbortSignal,
): Promise<Closure> {
  const archives = join(folder, "archives");
  const status = join(folder, "status");
  rmSync(archives, { recursive: true, force: true });
  mkdirSync(join(archives, "partial"), { recursive: true });
  writeFileSync(status, "");
  const settings = [
    `Dir::State::status=${status}`,
    `Dir::Cache::archives=${archives}`,
    "Debug::NoLocking=1",
    "APT::Install-Recommends=false",
    // apt drops to a user of its own, who may not write into our folder.
    "APT::Sandbox::User=root",
  ].flatMap((setting) => ["-o", setting]);
  await runProgram(
    ["apt-get", ...settings, "--yes", "--download-only", "install", ...packages],
    signal === undefined ? {} : { signal },
  );
  const wanted = new Set(packages);
  const files = readdirSync(archives)
    .filter((name) => name.endsWith(".deb"))
    .filter((name) => {
      const packageName = name.split("_")[0] ?? "";
      return wanted.has(packageName) || !MAINTAINER_TOOLS.has(packageName);
    })
    .sort();
  return { files: files.map((name) => join(archives, name)) };
}
