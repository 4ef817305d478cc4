/**
 * Lines of a watch stream, as bytes: each is made once and the same buffer goes to every watcher.
 */

import type { DialRequest, WatchEvent, WatchKind } from "@berth/protocol";

function line(event: WatchEvent): Buffer {
  return Buffer.from(`${JSON.stringify(event)}\n`);
}

export function putLine(kind: WatchKind, key: string, revision: number, value: unknown): Buffer {
  return line({ type: "put", kind, key, revision, value });
}

export function deleteLine(kind: WatchKind, key: string, revision: number): Buffer {
  return line({ type: "delete", kind, key, revision });
}

export function syncedLine(position: string): Buffer {
  return line({ type: "synced", position });
}

/** After the list of kinds whose past is not kept: what is known of them besides is gone. */
export function listedLine(kinds: readonly WatchKind[]): Buffer {
  return line({ type: "listed", kinds: [...kinds] });
}

export function bookmarkLine(position: string): Buffer {
  return line({ type: "bookmark", position });
}

export function dialLine(dial: DialRequest): Buffer {
  return line({ type: "dial", dial });
}

export function resyncLine(reason: string): Buffer {
  return line({ type: "resync", reason });
}

export const HEARTBEAT_LINE = line({ type: "heartbeat" });

/** A place in the life of the cluster: clients keep it and hand it back, they do not look inside. */
export interface Position {
  readonly epoch: string;
  readonly revision: number;
}

export function formatPosition({ epoch, revision }: Position): string {
  return `${epoch}:${revision}`;
}

/** `undefined` when `text` is no position. */
export function parsePosition(text: string): Position | undefined {
  const match = /^(.*):(\d{1,16})$/.exec(text);
  if (match === null) return undefined;
  return { epoch: match[1] ?? "", revision: Number(match[2]) };
}
