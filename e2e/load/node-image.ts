/** An image of this very Node with the libraries that it is linked to: no registry, no package is needed. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

export const NODE_IMAGE = "berth/load-node";

/** Makes the image at the engine behind `socket`. */
export function makeNodeImage(socket: string): void {
  const root = mkdtempSync(join(tmpdir(), "berth-node-image-"));
  try {
    copyInto(root, process.execPath, "/node");
    for (const [from, to] of librariesOf(process.execPath)) copyInto(root, from, to);
    // The engine needs these in every image that mounts files below them.
    for (const folder of ["etc", "tmp", "program"]) mkdirSync(join(root, folder));
    const script = 'tar -C "$1" -c . | docker -H "unix://$2" import - "$3"';
    execFileSync("sh", ["-c", script, "sh", root, socket, NODE_IMAGE], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Libraries of a program as where they lie, and where the loader looks for them. */
function librariesOf(program: string): [from: string, to: string][] {
  const lines = execFileSync("ldd", [program]).toString().split("\n");
  return lines.flatMap((line): [string, string][] => {
    const [, named, found] = /^\s*(?:(\S+) => )?(\/\S+) \(0x/.exec(line) ?? [];
    if (found === undefined) return [];
    // The loader itself has its absolute path in the program; the others are looked up by name.
    return [[found, named === undefined ? found : join("/lib", basename(named))]];
  });
}

function copyInto(root: string, from: string, to: string): void {
  mkdirSync(join(root, dirname(to)), { recursive: true });
  copyFileSync(from, join(root, to));
}
