/**
 * What may go from this node's disk: a pure decision.
 *
 * Invariants: an image that a kept release or an assignment refers to stays, whatever the pressure; so does
 * every image that any container uses, and every image that Berth neither pulled nor built. Images go only
 * under pressure, the longest unused first, and only as many as are needed. Containers of ours that ended go
 * with time, or at once under pressure, unless their task is still wanted.
 * Cost: O(n log n). Design page: docs/design/runtime.md
 */

import { SECOND_MS } from "@berth/base";
import type { RetentionPolicy } from "../logs/retention.ts";
import type { ContainerState, ImageInfo } from "../runtime/port.ts";

/** An image with what this agent remembers of it. */
export interface GarbageImage {
  readonly image: ImageInfo;
  /** Absent: Berth neither pulled nor built it. */
  readonly record?: ImageRecord;
}

export interface ImageRecord {
  readonly imageId: string;
  /** Wall time of the last start, build or pull. */
  readonly lastUsedAt: number;
}

export interface GarbageInput {
  /** Wall time. */
  readonly now: number;
  readonly disk: { readonly sizeBytes: number; readonly freeBytes: number };
  readonly images: readonly GarbageImage[];
  /** Image IDs, tags and `name@digest` of kept releases and assignments. */
  readonly kept: ReadonlySet<string>;
  /** Containers of this cluster. */
  readonly containers: readonly ContainerState[];
  /** Whether the container's task is still somebody's: its runner removes it. */
  readonly isWanted: (container: ContainerState) => boolean;
}

/** Shares of the disk in use, 0 to 1, and times. */
export interface GarbagePolicy {
  /** From here on images go. */
  readonly startShare: number;
  /** Down to here. */
  readonly stopShare: number;
  /** From here on builds are refused. */
  readonly refuseBuildsShare: number;
  /** An image that was used within this time stays: its container may be about to be made. */
  readonly unusedMs: number;
  /** Ended containers that nobody wants stay this long, for people who look. */
  readonly endedMs: number;
  /** Logs while the disk is full. */
  readonly pressureLogs: RetentionPolicy;
}

/** Between 75 and 85 % a working set finds room; above 90 % a build could fill the disk before it ends. */
export const GARBAGE_POLICY: GarbagePolicy = {
  startShare: 0.85,
  stopShare: 0.75,
  refuseBuildsShare: 0.9,
  unusedMs: 600 * SECOND_MS,
  endedMs: 3_600 * SECOND_MS,
  pressureLogs: { totalBytesMax: 512 * 1024 * 1024, retainMs: 24 * 3_600 * SECOND_MS },
};

export interface GarbagePlan {
  /** Images to remove, in this order. */
  readonly images: readonly ImageInfo[];
  /** Containers to remove. */
  readonly containers: readonly ContainerState[];
  /** Set while the disk is too full: logs of ended tasks go by this instead of the usual policy. */
  readonly logs?: RetentionPolicy;
  readonly usedShare: number;
  readonly refuseBuilds: boolean;
  /** What is still over the goal when everything in the plan has gone; 0 when it suffices. */
  readonly missingBytes: number;
}

export function collectGarbage(
  input: GarbageInput,
  policy: GarbagePolicy = GARBAGE_POLICY,
): GarbagePlan {
  const { sizeBytes, freeBytes } = input.disk;
  const usedBytes = sizeBytes - freeBytes;
  // A disk whose size is not known is not full: nothing is removed on a guess.
  const usedShare = sizeBytes > 0 ? usedBytes / sizeBytes : 0;
  const pressure = usedShare >= policy.startShare;
  const goalBytes = pressure ? usedBytes - policy.stopShare * sizeBytes : 0;
  const containers = endedContainers(input, policy, pressure);
  const images: ImageInfo[] = [];
  let freed = 0;
  for (const { image } of pressure ? candidates(input, policy, containers) : []) {
    if (freed >= goalBytes) break;
    images.push(image);
    freed += image.sizeBytes;
  }
  return {
    images,
    containers,
    ...(pressure ? { logs: policy.pressureLogs } : {}),
    usedShare,
    refuseBuilds: usedShare >= policy.refuseBuildsShare,
    missingBytes: Math.max(0, Math.ceil(goalBytes - freed)),
  };
}

function endedContainers(
  input: GarbageInput,
  policy: GarbagePolicy,
  pressure: boolean,
): readonly ContainerState[] {
  return input.containers.filter((container) => {
    if (container.phase !== "exited" && container.phase !== "dead") return false;
    if (input.isWanted(container)) return false;
    // Without a known end it has ended in another life of the engine: long ago.
    return pressure || input.now - (container.finishedAt ?? 0) >= policy.endedMs;
  });
}

/** What may go, the longest unused first, of equals the largest first. */
function candidates(
  input: GarbageInput,
  policy: GarbagePolicy,
  leaving: readonly ContainerState[],
): readonly Required<GarbageImage>[] {
  const gone = new Set(leaving.map(({ id }) => id));
  const used = new Set(
    input.containers.filter(({ id }) => !gone.has(id)).map(({ imageId }) => imageId),
  );
  const free: Required<GarbageImage>[] = [];
  for (const { image, record } of input.images) {
    if (record === undefined || used.has(image.imageId) || isKept(image, input.kept)) continue;
    if (input.now - record.lastUsedAt >= policy.unusedMs) free.push({ image, record });
  }
  return free.sort(
    (a, b) =>
      a.record.lastUsedAt - b.record.lastUsedAt ||
      b.image.sizeBytes - a.image.sizeBytes ||
      (a.image.imageId < b.image.imageId ? -1 : 1),
  );
}

function isKept(image: ImageInfo, kept: ReadonlySet<string>): boolean {
  return kept.has(image.imageId) || image.references.some((reference) => kept.has(reference));
}
