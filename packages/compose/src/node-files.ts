/**
 * The file-system port on the machine's own files. The only module of the package that touches the disk.
 *
 * Errors other than "missing" (no permission, an I/O error) read as missing: the loader's message names the path,
 * and the user sees the same with `ls`.
 */

import { readFileSync, statSync } from "node:fs";
import type { ComposeFiles } from "./files.ts";
import { FILE_BYTES_MAX } from "./limits.ts";

/** The machine's file system, read-only. */
export const nodeFiles: ComposeFiles = {
  readText(path) {
    try {
      const stat = statSync(path);
      if (!stat.isFile()) return undefined;
      // One byte over the limit is enough for the loader to refuse it; the rest is not worth reading.
      if (stat.size > FILE_BYTES_MAX) return " ".repeat(FILE_BYTES_MAX + 1);
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  },
  stat(path) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (stat.isDirectory()) return "directory";
    return stat.isFile() ? "file" : undefined;
  },
};
