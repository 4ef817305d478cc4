/**
 * Starts that an agent has begun and not finished, on the volatile disk: whoever comes after it cannot tell
 * whether their containers have their networks, and removes them before it looks at any container.
 *
 * One small file a start, named after the container, with the place of its processes; a reboot, which ends
 * all containers, takes them along.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface DoubtfulStart {
  readonly id: string;
  /** `cgroup.procs` of the container. */
  readonly processesPath: string;
}

/** What a container's identifier looks like: nothing else in the folder is ours. */
const IDENTIFIER = /^[0-9a-f]{12,64}$/;

export class DirectJournal {
  readonly #folder: string;
  /** Begun in this life; what becomes of them is still awaited. */
  readonly #open = new Map<string, DoubtfulStart>();
  readonly #doubtful = new Map<string, DoubtfulStart>();

  /** Makes `folder` if it is missing; what lies in it is in doubt. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const id of readdirSync(folder).filter((name) => IDENTIFIER.test(name))) {
      this.#doubtful.set(id, { id, processesPath: readFileSync(join(folder, id), "utf8") });
    }
  }

  /** Containers that may run without their networks. */
  doubtful(): readonly DoubtfulStart[] {
    return [...this.#doubtful.values()];
  }

  begin(start: DoubtfulStart): void {
    this.#open.set(start.id, start);
    writeFileSync(join(this.#folder, start.id), start.processesPath);
  }

  /** It has its networks, or it is gone. */
  end(id: string): void {
    this.#open.delete(id);
    this.#doubtful.delete(id);
    rmSync(join(this.#folder, id), { force: true });
  }

  /** Nobody knows how it ended. */
  doubt(id: string): void {
    const start = this.#open.get(id);
    if (start !== undefined) this.#doubtful.set(id, start);
    this.#open.delete(id);
  }
}
