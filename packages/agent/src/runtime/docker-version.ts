/**
 * Which version of the Engine API to speak: the server's, unless it is newer than what was tested.
 *
 * Engine 20.10 speaks 1.41; Engine 29 refuses clients below 1.44. Versions are `major.minor`, compared as
 * numbers.
 */

import { ProtocolError } from "@berth/protocol";

/** The newest version whose answers this client knows. */
export const API_VERSION_MAX = "1.51";
/** Older engines lack `platform` and one-shot figures: Engine 20.10 is the oldest supported. */
export const API_VERSION_MIN = "1.40";

/** Negative when `a` is older than `b`, 0 when equal, positive when newer. */
export function compareVersions(a: string, b: string): number {
  const [aMajor = 0, aMinor = 0] = a.split(".").map(Number);
  const [bMajor = 0, bMinor = 0] = b.split(".").map(Number);
  return aMajor - bMajor || aMinor - bMinor;
}

/**
 * The version to use with a server that speaks `server.min` to `server.max`.
 *
 * @throws ProtocolError `engine_error` when there is none in common.
 */
export function negotiate(server: { readonly max: string; readonly min: string }): string {
  const wanted = compareVersions(server.max, API_VERSION_MAX) < 0 ? server.max : API_VERSION_MAX;
  const inCommon =
    compareVersions(wanted, API_VERSION_MIN) >= 0 && compareVersions(wanted, server.min) >= 0;
  if (inCommon) return wanted;
  throw new ProtocolError(
    "engine_error",
    `the engine speaks API ${server.min} to ${server.max}; ${API_VERSION_MIN} to ${API_VERSION_MAX} is supported`,
    { engineMin: server.min, engineMax: server.max, min: API_VERSION_MIN, max: API_VERSION_MAX },
  );
}
