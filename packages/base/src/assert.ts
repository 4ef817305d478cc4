/**
 * Assertions: how a programmer error shows itself.
 *
 * An assertion states what must hold if the code is right; it stays on in production and nobody
 * catches it: the process ends and its supervisor starts it again from stored state. What a user, a
 * peer or a disk can get wrong is never asserted but refused with a code (`@berth/protocol` errors).
 */

/** Thrown when the code contradicts itself. Never caught but by a process's outermost handler. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Ends the process (by an exception nobody catches) unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Returns `value`, which the caller knows to be present; asserts that it is. */
export function present<T>(value: T | null | undefined, what: string): T {
  assert(value !== null && value !== undefined, `${what} is missing`);
  return value;
}

/** Marks the branch that exhausts a union; the compiler refuses it while a case is missing. */
export function assertNever(value: never, what = "value"): never {
  throw new AssertionError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
