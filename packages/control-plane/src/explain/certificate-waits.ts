/**
 * What is not as it should be with the certificates of a service's routes: said by `berth explain` beside
 * what its copies wait for. Pure.
 */

import type { Certificate, ServiceScope, ServiceSpec, Wait } from "@berth/protocol";
import { chosenCertificate, tlsRoutesOf } from "../certificates/choose.ts";
import { stateAt } from "../certificates/lifetime.ts";
import type { ClusterView } from "../state/cluster-tables.ts";

/** One wait for each host whose certificate needs a look. */
export function certificateWaits(
  view: ClusterView,
  scope: ServiceScope,
  spec: ServiceSpec | undefined,
  now: number,
): Wait[] {
  const hosts = new Set(tlsRoutesOf(scope, spec?.routes ?? []).map(({ host }) => host));
  return [...hosts].flatMap((host): Wait[] => {
    if (host === "*") return [];
    const certificate = chosenCertificate(view, scope, host)?.value;
    const words = certificate === undefined ? "there is none yet" : problemWords(certificate, now);
    if (words === undefined) return [];
    const message = `certificate of ${host}: ${words}`;
    const until = certificate?.nextAttemptAt;
    return [{ kind: "certificate", message, ...(until === undefined ? {} : { until }) }];
  });
}

function problemWords(certificate: Certificate, now: number): string | undefined {
  const { name, lastError, current, source } = certificate;
  const state = stateAt(certificate, now);
  if (state === "valid") return undefined;
  const meanwhile =
    current !== undefined && current.source !== source
      ? " (served with one of the cluster's own meanwhile)"
      : "";
  if (lastError !== undefined && source !== "file") {
    const { step, message, advice } = lastError;
    return `failed at ${step}: ${message}${meanwhile} → ${advice}`;
  }
  if (state === "pending") return `it is being ordered${meanwhile}`;
  const when = current === undefined ? "" : ` (${new Date(current.notAfter).toISOString()})`;
  const what = state === "expired" ? "it has expired" : "it expires soon";
  const advice =
    source === "file"
      ? `berth certificate add ${name} --cert FILE --key FILE`
      : "berth certificate show tells why";
  return `${what}${when} → ${advice}`;
}
