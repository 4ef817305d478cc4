/**
 * What was made for a key, as long as it is asked for now and then. When there is more than the limit, the half that
 * was longest without a question is forgotten at once, so that a question costs one look into the map.
 */

export class Recent<T> {
  readonly #limit: number;
  readonly #entries = new Map<string, { readonly item: T; askedAt: number }>();
  #questions = 0;

  /** Keeps `limit` items at most, 1 or more. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The item of the key, made when there is none. */
  of(key: string, make: () => T): T {
    const askedAt = ++this.#questions;
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.askedAt = askedAt;
      return known.item;
    }
    if (this.#entries.size >= this.#limit) this.#forget();
    const item = make();
    this.#entries.set(key, { item, askedAt });
    return item;
  }

  #forget(): void {
    const oldest = [...this.#entries].sort(([, a], [, b]) => a.askedAt - b.askedAt);
    for (const [key] of oldest.slice(0, Math.ceil(this.#limit / 2))) this.#entries.delete(key);
  }
}
