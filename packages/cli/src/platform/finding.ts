/** What `berth platform doctor` finds: one sentence about what is the case, one about what to do. */

import type { PlatformPaths } from "./paths.ts";
import type { PlatformSettings } from "./settings.ts";

export interface Finding {
  readonly check: string;
  /** `warning`: works, but not as well as it could. `error`: something will not work. */
  readonly level: "ok" | "warning" | "error";
  readonly message: string;
  /** What to do; empty when all is well. */
  readonly advice: string;
}

export interface CheckContext {
  readonly paths: PlatformPaths;
  readonly settings: PlatformSettings;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export type Check = (context: CheckContext) => Promise<readonly Finding[]>;

export function ok(check: string, message: string): Finding {
  return { check, level: "ok", message, advice: "" };
}

export function warning(check: string, message: string, advice: string): Finding {
  return { check, level: "warning", message, advice };
}

export function failure(check: string, message: string, advice: string): Finding {
  return { check, level: "error", message, advice };
}
