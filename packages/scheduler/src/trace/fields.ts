/**
 * Reads the fields of one JSON object of a trace, each once, and tells what is wrong in words that name the field.
 *
 * A trace is written by programs of others, so nothing is guessed: a field of the wrong type, a quantity
 * that is no whole number and a name that nobody knows are errors. The caller adds file and line.
 */

import { nearestWord } from "@berth/base";

/** A line of a trace does not have the wanted form. */
export class TraceError extends Error {
  override readonly name = "TraceError";
}

/** The fields of an object; `path` is where it stands within the line, empty for the line itself. */
export class Fields {
  readonly #record: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #read = new Set<string>();

  constructor(value: unknown, path = "") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new TraceError(
        `${path === "" ? "a line" : path}: expected an object, found ${shown(value)}`,
      );
    }
    // Checked above: an object that is no list.
    this.#record = value as Readonly<Record<string, unknown>>;
    this.#path = path;
  }

  /** Is the field there, and not `null`? */
  has(name: string): boolean {
    const value = Object.hasOwn(this.#record, name) ? this.#record[name] : undefined;
    this.#read.add(name);
    return value !== undefined && value !== null;
  }

  text(name: string): string {
    const value = this.#value(name);
    if (typeof value === "string" && value !== "") return value;
    return this.fail(name, "a text that is not empty", value);
  }

  optionalText(name: string): string | undefined {
    return this.has(name) ? this.text(name) : undefined;
  }

  /** A text of which only the listed ones are valid. */
  oneOf<const T extends string>(name: string, allowed: readonly T[]): T {
    const value = this.#value(name);
    const found = allowed.find((each) => each === value);
    return found ?? this.fail(name, `one of ${allowed.join(", ")}`, value);
  }

  /** A whole number of at least `min` (0); `fallback` when the field is absent. */
  whole(name: string, fallback?: number, min = 0): number {
    if (!this.has(name) && fallback !== undefined) return fallback;
    const value = this.#value(name);
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min) return value;
    return this.fail(name, `a whole number of at least ${min}`, value);
  }

  optionalWhole(name: string, min = 0): number | undefined {
    return this.has(name) ? this.whole(name, undefined, min) : undefined;
  }

  flag(name: string, fallback: boolean): boolean {
    if (!this.has(name)) return fallback;
    const value = this.#value(name);
    return typeof value === "boolean" ? value : this.fail(name, "true or false", value);
  }

  /** The items of a list with their paths; none when the field is absent. */
  list(name: string): readonly { readonly value: unknown; readonly path: string }[] {
    if (!this.has(name)) return [];
    const value = this.#value(name);
    if (!Array.isArray(value)) return this.fail(name, "a list", value);
    return value.map((item: unknown, index) => ({
      value: item,
      path: this.at(`${name}[${index}]`),
    }));
  }

  texts(name: string): readonly string[] {
    return this.list(name).map(({ value, path }) => {
      if (typeof value === "string" && value !== "") return value;
      throw new TraceError(`${path}: expected a text that is not empty, found ${shown(value)}`);
    });
  }

  wholes(name: string): readonly number[] {
    return this.list(name).map(({ value, path }) => {
      if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
      throw new TraceError(`${path}: expected a whole number of at least 0, found ${shown(value)}`);
    });
  }

  /** The fields of an object inside, which the caller ends; `undefined` when the field is absent. */
  inner(name: string): Fields | undefined {
    return this.#inner(name);
  }

  /** Names to whole numbers; none when the field is absent. */
  quantities(name: string): Readonly<Record<string, number>> {
    const inner = this.#inner(name);
    return Object.fromEntries(inner?.names().map((key) => [key, inner.whole(key)]) ?? []);
  }

  /** Names to texts; numbers and truth values are taken as their text. */
  labels(name: string): Readonly<Record<string, string>> {
    const inner = this.#inner(name);
    return Object.fromEntries(inner?.names().map((key) => [key, inner.#label(key)]) ?? []);
  }

  names(): readonly string[] {
    return Object.keys(this.#record);
  }

  /** After all fields were read: one that nobody asked for is an error with the nearest valid name. */
  end(): void {
    for (const name of this.names()) {
      if (this.#read.has(name)) continue;
      const near = nearestWord(name, this.#read);
      const known =
        near === undefined ? `there are ${[...this.#read].join(", ")}` : `did you mean ${near}?`;
      throw new TraceError(`${this.at(name)}: no such field; ${known}`);
    }
  }

  fail(name: string, wanted: string, value: unknown): never {
    throw new TraceError(`${this.at(name)}: expected ${wanted}, found ${shown(value)}`);
  }

  /** Where a field stands within the line. */
  at(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }

  #value(name: string): unknown {
    this.#read.add(name);
    return Object.hasOwn(this.#record, name) ? this.#record[name] : undefined;
  }

  #inner(name: string): Fields | undefined {
    return this.has(name) ? new Fields(this.#value(name), this.at(name)) : undefined;
  }

  #label(name: string): string {
    const value = this.#value(name);
    if (typeof value === "string") return value;
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    return this.fail(name, "a text", value);
  }
}

/** A value as a message repeats it: JSON, shortened. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length <= SHOWN_CHARS_MAX ? text : `${text.slice(0, SHOWN_CHARS_MAX)}...`;
}

const SHOWN_CHARS_MAX = 60;
