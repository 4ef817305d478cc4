/**
 * The project: what a load gives.
 */

import type { Extensions } from "../codec/extension.ts";
import type { StackWishes } from "./berth-model.ts";
import type { ComposeNetwork } from "./network-model.ts";
import type { ComposeService } from "./service-model.ts";
import type { ComposeFileObject, ComposeVolume } from "./storage-model.ts";

/** A language model that services use (`models`). */
export interface ComposeModel {
  readonly name?: string;
  readonly model: string;
  readonly contextSize?: number;
  readonly runtimeFlags?: readonly string[];
  readonly extensions?: Extensions;
}

/** A stack file, whole, normalised. Names of records are the keys of the file. */
export interface ComposeProject {
  /** Lower-case letters, digits, `-` and `_`. */
  readonly name: string;
  /** Clean and absolute. */
  readonly directory: string;
  /** The services of the active profiles. */
  readonly services: Readonly<Record<string, ComposeService>>;
  /** Names of services that no active profile has. */
  readonly disabledServices: readonly string[];
  /** All profiles that the file names, sorted. */
  readonly profiles: readonly string[];
  readonly networks: Readonly<Record<string, ComposeNetwork>>;
  readonly volumes: Readonly<Record<string, ComposeVolume>>;
  readonly configs: Readonly<Record<string, ComposeFileObject>>;
  readonly secrets: Readonly<Record<string, ComposeFileObject>>;
  readonly models: Readonly<Record<string, ComposeModel>>;
  /** What `x-berth` at the top wishes. */
  readonly xBerth?: StackWishes;
  /** `x-` keys at the top. */
  readonly extensions?: Extensions;
}
