/** Follows where other nodes reach this one: hosts get other addresses, and have none when they start without a network. */

import type { Driver } from "@berth/base";
import type { Underlay } from "@berth/protocol";
import type { UnderlayFinder, UnderlaySettings } from "./underlay.ts";

/** Hosts change their addresses seldom; a look is two programs. */
const LOOK_PERIOD_MS = 30_000;

export interface UnderlayWatchOptions {
  readonly driver: Driver;
  readonly settings: UnderlaySettings;
  readonly find: UnderlayFinder;
  /** A bridge of ours, by its name. */
  readonly isOwnInterface: (name: string) => boolean;
  /** It is known now, is another, or is gone. */
  readonly onChanged: () => void;
}

export class UnderlayWatch {
  readonly #options: UnderlayWatchOptions;
  #found: Underlay | undefined;
  #hasLooked = false;

  constructor(options: UnderlayWatchOptions) {
    this.#options = options;
    options.driver.add({
      name: "host-underlay",
      purpose: "Follows the address by which other nodes reach this one.",
      periodMs: LOOK_PERIOD_MS,
      run: () => this.#look(),
    });
  }

  /** As it was found last; nothing before the first look, and on a host that nobody reaches. */
  get found(): Underlay | undefined {
    return this.#found;
  }

  /** The address that was set, where the host does not have it. */
  get missing(): string | undefined {
    const isMissing = this.#hasLooked && this.#found === undefined;
    return isMissing ? this.#options.settings.address : undefined;
  }

  async #look(): Promise<void> {
    const { settings, find, isOwnInterface, onChanged } = this.#options;
    const found = await find(settings, isOwnInterface);
    const isNews = !this.#hasLooked || JSON.stringify(found) !== JSON.stringify(this.#found);
    this.#found = found;
    this.#hasLooked = true;
    if (isNews) onChanged();
  }
}
