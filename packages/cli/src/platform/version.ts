/** Which Berth this is: the bundle's content version, or the sources. */

declare const BERTH_BUNDLE_VERSION: string | undefined;

/** This file runs as part of a bundle. */
export const BUNDLED = typeof BERTH_BUNDLE_VERSION === "string";

/** `0.1.0+` and twelve digits for a bundle; sources run as `0.1.0-source`. */
export const VERSION =
  typeof BERTH_BUNDLE_VERSION === "string" ? BERTH_BUNDLE_VERSION : "0.1.0-source";
