/**
 * In which column of a node's amounts does a resource stand? The built-in ones come first, others as they are
 * met; columns are never given up, so that readers may keep their numbers.
 */

export class ResourceColumns {
  readonly #columns = new Map([
    ["cpu", 0],
    ["memory", 1],
    ["disk", 2],
    ["pids", 3],
  ]);

  /** The column of the resource `name`; a new one for a name that was not met yet. */
  of(name: string): number {
    const known = this.#columns.get(name);
    if (known !== undefined) return known;
    const made = this.#columns.size;
    this.#columns.set(name, made);
    return made;
  }

  /** All names with their columns. */
  entries(): Iterable<readonly [string, number]> {
    return this.#columns;
  }
}
