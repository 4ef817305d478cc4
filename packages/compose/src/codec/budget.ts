/**
 * Bounds on what a small file can make the readers do: extends and aliases repeat values, ranges stand for many ports.
 */

/** An amount that is spent and then gone. */
export class Budget {
  #left: number;
  readonly #onEmpty: () => void;
  #told = false;

  /** `onEmpty` is called once, when more is asked for than there is. */
  constructor(amount: number, onEmpty: () => void) {
    this.#left = amount;
    this.#onEmpty = onEmpty;
  }

  /** Whether `amount` was left; it is gone then. */
  spend(amount: number): boolean {
    this.#left -= amount;
    if (this.#left >= 0) return true;
    if (!this.#told) this.#onEmpty();
    this.#told = true;
    return false;
  }
}
