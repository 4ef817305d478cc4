/** Objects without the fields that are undefined: `exactOptionalPropertyTypes` tells absent from undefined. */

type Loose<T> = { readonly [Key in keyof T]: T[Key] | undefined };

/** `fields` without those that are `undefined`. */
export function presentFields<T extends object>(fields: Loose<T>): T {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as unknown as T;
}
