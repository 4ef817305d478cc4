/** Certificates for tests, made by the platform's own means; every one with another key. */

import { DAY_MS } from "@berth/base";
import { type Issued, issueLeaf, makeAuthority } from "../x509.ts";

export const NOW = Date.UTC(2026, 5, 1);

export function testAuthority(now = NOW): Promise<Issued> {
  return makeAuthority({ cluster: "c0ffee00", now });
}

/** A certificate for `hosts`, `days` long valid from `now` on. */
export async function testLeaf(
  hosts: readonly string[],
  options: { readonly authority?: Issued; readonly now?: number; readonly days?: number } = {},
): Promise<Issued> {
  const { now = NOW, days = 90 } = options;
  const authority = options.authority ?? (await testAuthority(now));
  return issueLeaf({ authority, hosts, now, lifetimeMs: days * DAY_MS });
}
