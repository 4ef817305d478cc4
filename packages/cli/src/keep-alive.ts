/**
 * Keeps this process alive while something is awaited: the clock's timers do not, so that a loop that waits
 * for its next run never holds up the end of a command.
 */

/** The longest that one of Node's timers takes; it is never reached. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Holds until the answered function is called. */
export function keepAlive(): () => void {
  const timer = setTimeout(() => {}, TIMER_MS_MAX);
  return () => clearTimeout(timer);
}
