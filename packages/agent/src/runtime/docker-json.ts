/**
 * Reading what an engine answers: tolerant, since engines and their versions differ in what they leave out.
 *
 * A field that is missing or of another kind is `undefined`; the caller says what that means.
 */

/** The value at `path` of nested objects. */
export function valueAt(json: unknown, ...path: readonly string[]): unknown {
  let value = json;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !(key in value)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

export function textAt(json: unknown, ...path: readonly string[]): string | undefined {
  const value = valueAt(json, ...path);
  return typeof value === "string" ? value : undefined;
}

export function numberAt(json: unknown, ...path: readonly string[]): number | undefined {
  const value = valueAt(json, ...path);
  return typeof value === "number" ? value : undefined;
}

export function flagAt(json: unknown, ...path: readonly string[]): boolean {
  return valueAt(json, ...path) === true;
}

export function listAt(json: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = valueAt(json, ...path);
  return Array.isArray(value) ? value : [];
}

/** Names under an object; an object stands for a set in many of the engine's answers. */
export function keysAt(json: unknown, ...path: readonly string[]): readonly string[] {
  const value = valueAt(json, ...path);
  return typeof value === "object" && value !== null ? Object.keys(value) : [];
}

export function textsAt(json: unknown, ...path: readonly string[]): readonly string[] {
  return listAt(json, ...path).filter((item) => typeof item === "string");
}

export function textMapAt(
  json: unknown,
  ...path: readonly string[]
): Readonly<Record<string, string>> {
  const value = valueAt(json, ...path);
  if (typeof value !== "object" || value === null) return {};
  const entries = Object.entries(value).filter((entry) => typeof entry[1] === "string");
  return Object.fromEntries(entries);
}

/** Wall time of an RFC 3339 text; `undefined` for the zero time, which means never. */
export function timeAt(json: unknown, ...path: readonly string[]): number | undefined {
  const text = textAt(json, ...path);
  if (text === undefined || text.startsWith("0001-")) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** `text` as JSON; `undefined` when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
