/**
 * The limits of the loader, each with the reason for its value. A stack file is a person's text: every limit is
 * far above what people write and far below what would hurt the process that reads it.
 */

/** A file: the largest of 1,259 public stack files has 60 KB; 10 MB is the promise of the documentation. */
export const FILE_BYTES_MAX = 10 * 1024 * 1024;

/** Nesting of a file: real ones have 12 levels; the readers recurse, and 100 levels need little stack. */
export const DEPTH_MAX = 100;

/** Values that aliases may add to a file by repetition: refuses the "billion laughs" after 0.1 s. */
export const ALIAS_NODES_MAX = 200_000;

/** Services of one stack. The platform's largest tested stack has 1,000. */
export const SERVICES_MAX = 5_000;

/** Files that one load may read (includes, extends, env files): far above any repository's number. */
export const FILES_MAX = 1_000;

/** Includes within includes, and extends within extends: a chain of this length is a mistake. */
export const CHAIN_MAX = 50;

/** Ports that one short entry with a range may stand for: there are no more. */
export const PORT_RANGE_MAX = 65_536;

/** Ports that all ranges of a stack together may stand for: a balancer with this many listeners is none. */
export const EXPANDED_PORTS_MAX = 200_000;

/** Files that includes may load, one file counted each time: two includes of two includes ... double. */
export const INCLUSIONS_MAX = 1_000;

/** Values read, those that extends and aliases repeat counted at each use: ten times a file of 10 MB. */
export const VALUES_MAX = 5_000_000;

/** Nested `${A:-${B:-...}}`. */
export const INTERPOLATION_DEPTH_MAX = 20;

/** Text that interpolation may make of one value: a variable of a few KB used many times. */
export const INTERPOLATED_CHARS_MAX = 1024 * 1024;
