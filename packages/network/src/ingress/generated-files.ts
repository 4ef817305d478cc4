/** Files that HAProxy reads, in a folder of ours: written when they differ, removed when nobody names them. */

import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Folders below, whose files are all ours. */
const FOLDERS = ["maps", "pages", "certificates"] as const;

export class GeneratedFiles {
  readonly #dir: string;
  /** What this process has written; the first time everything is. */
  #written = new Map<string, string>();

  constructor(dir: string) {
    this.#dir = dir;
    for (const folder of ["", ...FOLDERS]) {
      mkdirSync(`${dir}/${folder}`, { recursive: true, mode: 0o700 });
    }
  }

  path(name: string): string {
    return `${this.#dir}/${name}`;
  }

  /** Paths to contents. Each is there whole or as it was before. */
  write(files: ReadonlyMap<string, string>): void {
    for (const [path, text] of files) {
      if (this.#written.get(path) === text) continue;
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
      this.#written.set(path, text);
    }
  }

  /** Removes what none of `files` is. */
  removeOthers(files: ReadonlyMap<string, string>): void {
    const gone = [...this.#written.keys()].filter((path) => !files.has(path));
    if (gone.length === 0 && this.#cleaned) return;
    this.#cleaned = true;
    for (const path of gone) this.#written.delete(path);
    for (const folder of FOLDERS) {
      for (const name of readdirSync(`${this.#dir}/${folder}`)) {
        const path = `${this.#dir}/${folder}/${name}`;
        if (!files.has(path)) rmSync(path, { force: true });
      }
    }
  }

  #cleaned = false;
}

/** Makes `path` a link to `target`, in place of whatever file is there. */
export function linkTo(target: string, path: string): void {
  if (target === path || isLink(path, target)) return;
  mkdirSync(dirname(path), { recursive: true });
  rmSync(`${path}.link`, { force: true });
  symlinkSync(target, `${path}.link`);
  renameSync(`${path}.link`, path);
}

function isLink(path: string, target: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isSymbolicLink() === true && readlinkSync(path) === target;
}
