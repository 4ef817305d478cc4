import type { Printed } from "../codec/codec.ts";

export type MutableForm = Map<string, Printed>;

export interface MergedPlace {
  /** Of the project. */
  readonly name: string;
  /** Of the project, absolute. */
  readonly directory: string;
  /** Values of variables that the files name without one. */
  readonly environment: ReadonlyMap<string, string>;
  /** Of the caller, for `~`. */
  readonly home: string | undefined;
  readonly resolvePaths: boolean;
  readonly normalize: boolean;
}
