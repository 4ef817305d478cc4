/**
 * Who may pass the door of a route: contents of the secrets that routes name, fetched when the model first
 * asks for them and again when their version changes.
 *
 * Kept in memory (sealed on disk by the secrets' source), so that the model can be made without waiting. Until
 * they are there a route lets nobody in. O(tasks with such routes).
 */

import type { Driver, Loop } from "@berth/base";
import type { Assignment } from "@berth/protocol";
import type { SecretSource } from "../files/secret-source.ts";
import type { ToldTask } from "../state/agent-state.ts";

const CHECK_PERIOD_MS = 60_000;

export interface RouteUsersOptions {
  readonly driver: Driver;
  /** Nobody's secrets are known without. */
  readonly secrets: SecretSource | undefined;
  readonly told: ReadonlyMap<string, ToldTask>;
  /** Called when contents have come. */
  readonly onChange: () => void;
}

interface Known {
  readonly version: string;
  readonly lines: string;
}

export class RouteUsers {
  readonly #options: RouteUsersOptions;
  readonly #loop: Loop;
  /** By task and secret. */
  #known = new Map<string, Known>();
  #wanted = new Set<string>();

  constructor(options: RouteUsersOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: "route-users",
      purpose: "Fetches the users of routes with authentication.",
      periodMs: CHECK_PERIOD_MS,
      run: (signal) => this.#run(signal),
    });
  }

  /** Lines of the secret in the version that the task has; `undefined`, and on their way, when not known. */
  readonly of = (assignment: Assignment, secret: string): string | undefined => {
    const { task, secrets } = assignment;
    const known = this.#known.get(keyOf(task.id, secret));
    const version = secrets[secret]?.version;
    if (known !== undefined && known.version === version) return known.lines;
    if (version !== undefined && !this.#wanted.has(task.id)) {
      this.#wanted.add(task.id);
      this.#loop.wake();
    }
    // Yesterday's users rather than nobody, until today's are here.
    return known?.lines;
  };

  async #run(signal: AbortSignal): Promise<void> {
    const { secrets, told, onChange } = this.#options;
    const wanted = [...this.#wanted];
    for (const id of wanted) {
      const assignment = told.get(id)?.assignment;
      // While the server cannot be asked and no sealed copy is there, the driver tries again.
      if (assignment !== undefined && secrets !== undefined) {
        this.#keep(assignment, await secrets.read(assignment, signal));
      }
      this.#wanted.delete(id);
    }
    this.#forget();
    if (wanted.length > 0) onChange();
  }

  #keep({ task, secrets }: Assignment, contents: ReadonlyMap<string, Buffer>): void {
    for (const [name, { version }] of Object.entries(secrets)) {
      const lines = contents.get(name)?.toString("utf8") ?? "";
      this.#known.set(keyOf(task.id, name), { version, lines });
    }
  }

  /** What belongs to tasks that are no more. */
  #forget(): void {
    for (const key of this.#known.keys()) {
      if (!this.#options.told.has(key.split(" ", 1)[0] ?? "")) this.#known.delete(key);
    }
  }
}

function keyOf(task: string, secret: string): string {
  return `${task} ${secret}`;
}
