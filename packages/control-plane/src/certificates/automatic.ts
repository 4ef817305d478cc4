/**
 * Certificates that exist because a route wants one: which to make, which to change, which to let go. Pure.
 *
 * A route with TLS whose host no certificate of a person covers gets one of its own, by ACME where that is
 * set and may issue for the host, else by the cluster's authority. One that no route needs any more goes:
 * at once when making it again costs nothing, after a week when it came from an ACME server, whose limits
 * a stack that is removed and deployed again must not use up.
 */

import { DAY_MS } from "@berth/base";
import { type AcmeSettings, type Certificate, type EnvironmentScope, keys } from "@berth/protocol";
import { type ClusterView, environmentOf } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { CLUSTER, DEFAULT_NAME, ownCertificate, tlsRoutes } from "./choose.ts";
import { isAmong, isOfThisMachine } from "./host-names.ts";

/** An ACME certificate that no route needs is kept this long. */
const UNNEEDED_KEPT_MS = 7 * DAY_MS;
/**
 * Clients that name no host of a route must be shown something: a certificate for nobody (RFC 6761), so that
 * it is not another host's, which would tell its name.
 */
const NOBODY = "default.invalid";
/** Stands for every host: there is no certificate for that. */
const ANY_HOST = "*";

/** One change. `revision` is that of the certificate as it was looked at. */
export type AutomaticChange =
  | { readonly kind: "create"; readonly key: string; readonly value: Certificate }
  | {
      readonly kind: "update";
      readonly key: string;
      readonly revision: number;
      readonly value: Certificate;
    }
  | {
      readonly kind: "remove";
      readonly key: string;
      readonly revision: number;
      readonly value: Certificate;
    };

/** The ACME server that an environment uses: its own, or the cluster's. */
export function acmeFor(view: ClusterView, scope: EnvironmentScope): AcmeSettings | undefined {
  return (view.acme.get(keys.acme(scope)) ?? view.acme.get(keys.acme(CLUSTER)))?.value;
}

/** Whether ACME is to be used for a host without anybody saying so. */
export function isForAcme(settings: AcmeSettings | undefined, host: string): boolean {
  if (settings === undefined || isOfThisMachine(host)) return false;
  if (host.startsWith("*.") && settings.challenge !== "dns-01") return false;
  return settings.only === undefined || isAmong(settings.only, host);
}

/** What is to be changed so that every route with TLS has a certificate, and nothing else has. */
export function automaticChanges(view: ClusterView, now: number): AutomaticChange[] {
  const wanted = wantedOf(view);
  const changes: AutomaticChange[] = [];
  const found = new Set<string>();
  for (const entity of view.certificates.all()) {
    if (!entity.value.automatic) continue;
    const name = wantName(entity.value, entity.value.hosts[0] ?? "");
    const want = wanted.get(name);
    if (want !== undefined) found.add(name);
    const change = changeOf(entity, want, now);
    if (change !== undefined) changes.push(change);
  }
  for (const [name, want] of wanted) {
    if (found.has(name)) continue;
    const { scope, host, source } = want;
    const key = freeKey(view, want);
    if (key === undefined) continue;
    changes.push({
      kind: "create",
      key: key.key,
      value: {
        ...scope,
        name: key.name,
        hosts: [host],
        source,
        automatic: true,
        createdAt: now,
        state: "pending",
        failuresInRow: 0,
      },
    });
  }
  return changes;
}

interface Want {
  readonly scope: EnvironmentScope;
  readonly host: string;
  readonly name: string;
  readonly source: "acme" | "cluster-ca";
}

function wantName(scope: EnvironmentScope, host: string): string {
  return `${environmentOf(scope)} ${host}`;
}

function wantedOf(view: ClusterView): Map<string, Want> {
  const wanted = new Map<string, Want>();
  const routes = tlsRoutes(view);
  if (routes.length > 0) {
    const isOwn =
      view.certificates.get(keys.certificate(CLUSTER, DEFAULT_NAME))?.value.automatic === false;
    const want = {
      scope: CLUSTER,
      host: NOBODY,
      name: DEFAULT_NAME,
      source: "cluster-ca",
    } as const;
    if (!isOwn) wanted.set(wantName(CLUSTER, NOBODY), want);
  }
  for (const { project, environment, host } of routes) {
    const scope = { project, environment };
    const name = wantName(scope, host);
    if (host === ANY_HOST || wanted.has(name)) continue;
    if (ownCertificate(view, scope, host) !== undefined) continue;
    const source = isForAcme(acmeFor(view, scope), host) ? "acme" : "cluster-ca";
    wanted.set(name, { scope, host, name: host, source });
  }
  return wanted;
}

/** The host itself, unless a person's certificate (for other hosts) has that name. */
function freeKey(view: ClusterView, { scope, name: wished }: Want) {
  for (const name of [wished, `${wished}-auto`]) {
    const key = keys.certificate(scope, name);
    if (view.certificates.get(key) === undefined) return { key, name };
  }
  return undefined;
}

function changeOf(
  { key, revision, value }: Entity<Certificate>,
  want: Want | undefined,
  now: number,
): AutomaticChange | undefined {
  const { unneededSince, ...rest } = value;
  if (want === undefined) {
    const isCheap = value.current?.source !== "acme" && value.order === undefined;
    const isLongAgo = unneededSince !== undefined && now - unneededSince >= UNNEEDED_KEPT_MS;
    if (isCheap || isLongAgo) return { kind: "remove", key, revision, value };
    if (unneededSince !== undefined) return undefined;
    return { kind: "update", key, revision, value: { ...value, unneededSince: now } };
  }
  if (unneededSince === undefined && value.source === want.source) return undefined;
  return { kind: "update", key, revision, value: { ...rest, source: want.source } };
}
