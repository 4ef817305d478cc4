/**
 * Keeps the log files of the platform's processes small. They hold their files open for appending, so a
 * file is copied aside and cut to nothing; what is written between the two is lost, at most a few lines.
 */

import { copyFileSync, statSync, truncateSync } from "node:fs";

/** Two of these per process: enough for days, and never a disk. */
export const PROCESS_LOG_BYTES_MAX = 20 * 1024 * 1024;

export function rotateLog(file: string, bytesMax = PROCESS_LOG_BYTES_MAX): boolean {
  try {
    if (statSync(file).size <= bytesMax) return false;
    copyFileSync(file, `${file}.1`);
    truncateSync(file);
    return true;
  } catch {
    // A missing file needs no rotation, and a full disk must not stop the supervisor.
    return false;
  }
}
