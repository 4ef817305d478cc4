/**
 * The life of a certificate in numbers: when it is renewed, when its age is worth a word, how long a failed
 * attempt is waited after. Pure; `now` comes in.
 */

import { createHash } from "node:crypto";
import { backoffMs, DAY_MS, HOUR_MS, MINUTE_MS, type Prng } from "@berth/base";
import type { Certificate, CertificateFacts, CertificateState } from "@berth/protocol";

/** A third is left for whatever goes wrong, and for people to notice. */
const RENEW_SHARE = 2 / 3;
/** Share of the lifetime over which renewals are spread: certificates made together shall not come back together. */
const SPREAD_SHARE = 0.05;
/** Less of the lifetime left than this, and renewal should have happened by now. */
const WARN_SHARE = 1 / 6;
/** Files are renewed by people, who want to know this long before at least. */
const FILE_WARN_MS = 14 * DAY_MS;
/** Let's Encrypt allows five failed validations of a host in an hour: the pauses stay below. */
const ATTEMPTS = { initialMs: 5 * MINUTE_MS, maxMs: 12 * HOUR_MS, factor: 2, jitter: 0.3 } as const;

type Span = Pick<CertificateFacts, "notBefore" | "notAfter" | "fingerprint">;

/**
 * Two thirds of the lifetime, minus a little that differs from certificate to certificate and is always the
 * same for one, so that a restart changes nothing.
 */
export function renewalTime({ notBefore, notAfter, fingerprint }: Span): number {
  const lifetime = notAfter - notBefore;
  const digest = createHash("sha256").update(fingerprint).digest();
  const share = digest.readUInt32BE(0) / 2 ** 32;
  return Math.round(notBefore + lifetime * (RENEW_SHARE - SPREAD_SHARE * share));
}

/** From when on the age of what is served is a finding. */
export function warningTime({ current, source }: Pick<Certificate, "current" | "source">): number {
  if (current === undefined) return Number.POSITIVE_INFINITY;
  const share = (current.notAfter - current.notBefore) * WARN_SHARE;
  return current.notAfter - (source === "file" ? Math.max(share, FILE_WARN_MS) : share);
}

/** What is the case with a certificate at `now`. */
export function stateAt(certificate: Certificate, now: number): CertificateState {
  const { current, failuresInRow, source } = certificate;
  if (current === undefined) return failuresInRow > 0 ? "failing" : "pending";
  if (current.notAfter <= now) return "expired";
  if (warningTime(certificate) <= now) return "expiring";
  if (failuresInRow > 0) return "failing";
  // One of the cluster's authority stands in until the first real one is there.
  return current.source === source ? "valid" : "pending";
}

/** The pause after the `failures`-th failed attempt in a row, never shorter than the other side asks. */
export function attemptPauseMs(failures: number, prng: Prng, retryAfterMs = 0): number {
  return Math.max(backoffMs(failures, ATTEMPTS, prng), retryAfterMs);
}

/** When something about the certificate changes by time alone; infinite when nothing does. */
export function nextMoment(certificate: Certificate, now: number): number {
  const { renewAt, nextAttemptAt, current } = certificate;
  const moments = [renewAt, nextAttemptAt, warningTime(certificate), current?.notAfter] as const;
  return Math.min(...moments.map((at) => (at !== undefined && at > now ? at : Infinity)));
}
