/**
 * Images that a rollback may need: of the last releases of each service that had a task here.
 *
 * Assignments name only what runs now; the server's kept releases are not told to agents. So each agent
 * remembers the images of what it was told, a few releases back, and lets them go when a service has not
 * been seen for long. O(1) a task, O(services) to list.
 */

import { DAY_MS } from "@berth/base";
import { type Assignment, type PinnedImage, serviceKey } from "@berth/protocol";
import type { LocalDb } from "./local-db.ts";

/** As many releases as the server keeps by default. */
export const RELEASES_KEPT = 10;
/** A service that nobody has seen for so long will not be rolled back here. */
const FORGET_AFTER_MS = 30 * DAY_MS;

interface KeptService {
  readonly seenAt: number;
  /** Newest last. */
  readonly releases: readonly { readonly release: number; readonly image: PinnedImage }[];
}

export class KeptImages {
  readonly #db: LocalDb;
  readonly #services = new Map<string, KeptService>();

  constructor(db: LocalDb) {
    this.#db = db;
    for (const [key, row] of db.read("kept")) this.#services.set(key, row as KeptService);
  }

  /** A task was told: its image belongs to a release that may be gone back to. */
  async note({ task, image }: Assignment, now: number): Promise<void> {
    const key = serviceKey(task);
    const known = this.#services.get(key)?.releases ?? [];
    if (known.some(({ release }) => release === task.release)) return;
    const releases = [...known, { release: task.release, image }]
      .sort((a, b) => a.release - b.release)
      .slice(-RELEASES_KEPT);
    await this.#put(key, { seenAt: now, releases });
  }

  /** Services that have tasks are seen; those that had none for long are forgotten. */
  async refresh(services: ReadonlySet<string>, now: number): Promise<void> {
    for (const [key, known] of [...this.#services]) {
      if (services.has(key)) this.#services.set(key, { ...known, seenAt: now });
      else if (now - known.seenAt > FORGET_AFTER_MS) {
        this.#services.delete(key);
        await this.#db.commit([{ table: "kept", key, value: undefined }]);
      }
    }
  }

  /** Identifiers, references and digests of all of them. */
  names(): Set<string> {
    const names = new Set<string>();
    for (const { releases } of this.#services.values()) {
      for (const { image } of releases) for (const name of imageNames(image)) names.add(name);
    }
    return names;
  }

  async #put(key: string, value: KeptService): Promise<void> {
    this.#services.set(key, value);
    await this.#db.commit([{ table: "kept", key, value }]);
  }
}

/** Everything by which an image may be found. */
export function imageNames({ reference, imageId, repoDigest }: PinnedImage): readonly string[] {
  return [reference, imageId, repoDigest].filter((name) => name !== undefined);
}
