/**
 * Checking of plain data at this process's border: small parsers that are put together to larger ones.
 *
 * Why not the schemas of `@berth/protocol`: their library costs `net` 20 MB of memory, and this format has
 * exactly two parties that are shipped together. A parser is typed by what it returns, so the compiler
 * refuses a parser that has fallen behind its interface. Unknown keys are dropped, not refused: a newer
 * agent may say more. Cost: O(size of the data).
 */

/**
 * Returns `value` as a `T` or throws `ShapeError`; `path` is where it stands, for the message. Items that a
 * tolerant list leaves out are told to `drop`.
 */
export type Shape<T> = (value: unknown, path: string, drop: Drop) => T;

/** Called for each item that is left out, with its place and the reason. */
export type Drop = (path: string, reason: string) => void;

/** Data does not have the wanted form. Caught at the border by `parseModel`, nowhere else. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

export function refuse(path: string, wanted: string, value: unknown): never {
  const shown = JSON.stringify(value) ?? String(value);
  throw new ShapeError(`${path}: expected ${wanted}, found ${shown.slice(0, 80)}`);
}

/** A string that `pattern` matches; `wanted` describes it. */
export function text(pattern: RegExp, wanted: string): Shape<string> {
  return (value, path) =>
    typeof value === "string" && pattern.test(value) ? value : refuse(path, wanted, value);
}

/** A string for which `holds`. A `secret` one is not repeated in the message. */
export function textWhere(
  holds: (value: string) => boolean,
  wanted: string,
  options: { readonly secret?: boolean } = {},
): Shape<string> {
  return (value, path) => {
    if (typeof value === "string" && holds(value)) return value;
    return refuse(path, wanted, options.secret === true ? "something else" : value);
  };
}

export function integer(min: number, max: number): Shape<number> {
  return (value, path) =>
    typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max
      ? value
      : refuse(path, `an integer from ${min} to ${max}`, value);
}

export const flag: Shape<boolean> = (value, path) =>
  typeof value === "boolean" ? value : refuse(path, "true or false", value);

export function oneOf<const T extends string | number>(...allowed: readonly T[]): Shape<T> {
  return (value, path) =>
    allowed.find((item) => item === value) ?? refuse(path, `one of ${allowed.join(", ")}`, value);
}

/** An array of at most `max` items, each as `item` wants it. */
export function list<T>(item: Shape<T>, max: number): Shape<readonly T[]> {
  return (value, path, drop) =>
    checkedArray(value, path, max).map((entry, index) => item(entry, `${path}[${index}]`, drop));
}

/**
 * As `list`, but an item that is not as wanted is left out and told to `drop`: what one stack got wrong
 * must not keep the others' changes from being followed.
 */
export function tolerantList<T>(item: Shape<T>, max: number): Shape<readonly T[]> {
  return (value, path, drop) =>
    checkedArray(value, path, max).flatMap((entry, index) => {
      try {
        return [item(entry, `${path}[${index}]`, drop)];
      } catch (error) {
        if (!(error instanceof ShapeError)) throw error;
        drop(`${path}[${index}]`, error.message);
        return [];
      }
    });
}

/** As `shape`, with at least one item. */
export function nonEmpty<T>(shape: Shape<readonly T[]>): Shape<readonly T[]> {
  return (value, path, drop) => {
    const items = shape(value, path, drop);
    return items.length > 0 ? items : refuse(path, "at least one item", value);
  };
}

function checkedArray(value: unknown, path: string, max: number): readonly unknown[] {
  if (!Array.isArray(value)) return refuse(path, "a list", value);
  return value.length <= max ? value : refuse(path, `at most ${max} items`, value.length);
}

type Fields<T> = { readonly [K in keyof T]-?: Shape<Exclude<T[K], undefined>> };

/** An object with `required` and perhaps `optional` fields; other keys are dropped. */
export function record<R extends object, O extends object = object>(
  required: Fields<R>,
  optional: Fields<O> = {} as Fields<O>,
): Shape<R & Partial<O>> {
  return (value, path, drop) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return refuse(path, "an object", value);
    }
    const given = value as Record<string, unknown>;
    const result: Record<string, unknown> = {};
    for (const [key, shape] of Object.entries<Shape<unknown>>(required)) {
      result[key] = shape(given[key], `${path}.${key}`, drop);
    }
    for (const [key, shape] of Object.entries<Shape<unknown>>(optional)) {
      if (given[key] !== undefined) result[key] = shape(given[key], `${path}.${key}`, drop);
    }
    return result as R & Partial<O>;
  };
}
