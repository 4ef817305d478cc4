/**
 * Who may pass the door of a route: contents of the secrets that routes name, fetched when the model first
 * asks for them and again when their version changes.
 *
 * Kept in memory (sealed on disk by the secrets' source), so that the model can be made without waiting. Until
 * they are there a route lets nobody in. O(tasks with such routes).
 */

import type { Driver, Loop, LoopResult } from "@berth/base";
import {
  type Assignment,
  type DeclaredService,
  type NetworkNeighbor,
  serviceKey,
} from "@berth/protocol";
import type { SecretSource } from "../files/secret-source.ts";
import type { ToldTask } from "../state/agent-state.ts";

const CHECK_PERIOD_MS = 60_000;
/** Pause while the users of a service elsewhere cannot be had. */
const RETRY_MS = 1_000;

export interface RouteUsersOptions {
  readonly driver: Driver;
  /** Nobody's secrets are known without. */
  readonly secrets: SecretSource | undefined;
  /** Tasks here; and those of others, by which the server gives users of a service without a copy here. */
  readonly state: {
    readonly told: ReadonlyMap<string, ToldTask>;
    readonly neighbors: ReadonlyMap<string, NetworkNeighbor>;
  };
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
  /** By task, or by service without a copy here, and secret. */
  #known = new Map<string, Known>();
  #wanted = new Set<string>();
  readonly #wantedAtDoor = new Map<string, DeclaredService>();

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

  /** As `of`, for a service whose copies are on other nodes. */
  readonly atDoor = (service: DeclaredService, secret: string): string | undefined => {
    const name = serviceKey(service);
    const known = this.#known.get(keyOf(name, secret));
    const version = service.ingress?.secrets?.[secret]?.version;
    if (known !== undefined && known.version === version) return known.lines;
    if (version !== undefined && !this.#wantedAtDoor.has(name)) {
      this.#wantedAtDoor.set(name, service);
      this.#loop.wake();
    }
    return known?.lines;
  };

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const isComplete = await this.#runAtDoor(signal);
    const { secrets, state, onChange } = this.#options;
    const wanted = [...this.#wanted];
    for (const id of wanted) {
      const assignment = state.told.get(id)?.assignment;
      // While the server cannot be asked and no sealed copy is there, the driver tries again.
      if (assignment !== undefined && secrets !== undefined) {
        this.#keep(assignment, await secrets.read(assignment, signal));
      }
      this.#wanted.delete(id);
    }
    this.#forget();
    if (wanted.length > 0) onChange();
    if (!isComplete) return { againMs: RETRY_MS };
  }

  /** False when some could not be had: no copy is known yet, or the server cannot be asked. */
  async #runAtDoor(signal: AbortSignal): Promise<boolean> {
    const { secrets, state, onChange } = this.#options;
    let isComplete = true;
    for (const [name, service] of [...this.#wantedAtDoor]) {
      const copy = [...state.neighbors.values()].find((task) => serviceKey(task) === name);
      const versions = service.ingress?.secrets ?? {};
      const contents =
        copy && (await secrets?.fetchAtDoor(copy.task, signal).catch(() => undefined));
      signal.throwIfAborted();
      if (contents === undefined) {
        isComplete = false;
        continue;
      }
      for (const [secret, { version }] of Object.entries(versions)) {
        const lines = contents.get(secret)?.toString("utf8") ?? "";
        this.#known.set(keyOf(name, secret), { version, lines });
      }
      this.#wantedAtDoor.delete(name);
      onChange();
    }
    return isComplete;
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
      const [owner = ""] = key.split(" ", 1);
      // Of services elsewhere there are as many as routes with users.
      if (!owner.includes("/") && !this.#options.state.told.has(owner)) this.#known.delete(key);
    }
  }
}

function keyOf(task: string, secret: string): string {
  return `${task} ${secret}`;
}
