/** How the disk of a host behaves: what a durable write takes, and whether there is room for it. */

export interface Disk {
  /** A commit takes up to this long, milliseconds. */
  commitMsMax: number;
  /** Writes are refused, and what is measured says so. */
  full: boolean;
}

/** What a durable write takes on a usual disk. */
const COMMIT_MS_MAX = 8;

export function goodDisk(): Disk {
  return { commitMsMax: COMMIT_MS_MAX, full: false };
}
