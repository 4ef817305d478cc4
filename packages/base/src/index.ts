export { AssertionError, assert, assertNever, present } from "./assert.ts";
export { type BackoffOptions, backoffMs } from "./backoff.ts";
export { type CancelTimer, type Clock, ManualClock, sleep, systemClock } from "./clock.ts";
export { Driver, type Loop, type LoopOptions, type LoopResult, type LoopStatus } from "./driver.ts";
export {
  type LogFields,
  type Logger,
  type LogLevel,
  lineLogger,
  silentLogger,
} from "./log.ts";
export { nearestWord } from "./nearest-word.ts";
export { Prng } from "./prng.ts";
export * from "./units.ts";
