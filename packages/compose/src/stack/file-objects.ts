/**
 * File objects: what a stack file says by relative path and the platform must carry to the node. The
 * compiler says which paths it needs and in which form; the shell reads, archives and uploads them and
 * answers with their digests.
 */

/** A path of the deploying machine that has to travel. */
export interface ObjectWish {
  /** Absolute. */
  readonly path: string;
  /** `seed` fills a new volume once; `context` is built from. */
  readonly use: "file" | "directory" | "seed" | "context" | "config" | "secret";
}

/** What was found there. Directories are tar archives with sorted names and without times. */
export type FoundObject =
  | {
      readonly kind: "file";
      readonly digest: string;
      readonly sizeBytes: number;
      readonly mode: number;
    }
  | { readonly kind: "directory"; readonly digest: string; readonly sizeBytes: number }
  | { readonly kind: "missing" };

/** Answers for every wish, by path. */
export type FoundObjects = ReadonlyMap<string, FoundObject>;

/** A single file object; larger things belong into images or volumes. */
export const FILE_OBJECT_BYTES_MAX = 1024 * 1024;
/** A directory as file object, and a config. */
export const DIRECTORY_OBJECT_BYTES_MAX = 64 * 1024 * 1024;
/** A secret, as with Docker and Kubernetes. */
export const SECRET_BYTES_MAX = 500 * 1024;
/** A build context or a volume's seed. */
export const CONTEXT_BYTES_MAX = 512 * 1024 * 1024;

export function objectBytesMax(use: ObjectWish["use"]): number {
  switch (use) {
    case "file":
    case "config":
      return FILE_OBJECT_BYTES_MAX;
    case "secret":
      return SECRET_BYTES_MAX;
    case "directory":
      return DIRECTORY_OBJECT_BYTES_MAX;
    case "seed":
    case "context":
      return CONTEXT_BYTES_MAX;
  }
}
