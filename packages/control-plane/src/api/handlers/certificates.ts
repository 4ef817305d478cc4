/** Certificates, the cluster's authority, and what nodes are given of them. */

import {
  type Certificate,
  type CertificateView,
  type EnvironmentScope,
  keys,
  ProtocolError,
} from "@berth/protocol";
import { CLUSTER, routeText, type TlsRoute, usersOfAll } from "../../certificates/choose.ts";
import {
  findCertificate,
  type NamedCertificate,
  takeFile,
  wishIssue,
  wishRemoval,
  wishRenewal,
} from "../../certificates/commands.ts";
import { stateAt } from "../../certificates/lifetime.ts";
import { certificateId, needsOfNode } from "../../certificates/node-needs.ts";
import { readCertificate } from "../../certificates/read-certificate.ts";
import { sealedKey } from "../../certificates/records.ts";
import { Vault } from "../../certificates/vault.ts";
import type { Decision } from "../../release/refusal.ts";
import { type ClusterView, environmentOf } from "../../state/cluster-tables.ts";
import type { Entity } from "../../state/entity-table.ts";
import { commitDecision } from "../commit.ts";
import type { ApiContext, ApiRequest, Handler } from "../handler.ts";
import { booleanOf, pageOf } from "../paging.ts";

type Named = Pick<ApiRequest<"getCertificate">, "params" | "query">;

/** The whole cluster with `clusterWide`, else the environment of the path. */
export function scopeOf({
  params,
  query,
}: {
  readonly params: EnvironmentScope;
  readonly query: { readonly clusterWide?: string };
}): EnvironmentScope {
  if (booleanOf("clusterWide", query.clusterWide)) return CLUSTER;
  const { project, environment } = params;
  return { project, environment };
}

function namedOf(request: Named): NamedCertificate {
  return { ...scopeOf(request), name: request.params.certificate };
}

/** `users`: routes by certificate, where several are shown. */
function viewOf(
  context: ApiContext,
  entity: Entity<Certificate>,
  users: ReadonlyMap<string, readonly TlsRoute[]> = usersOfAll(context.state.view),
): CertificateView {
  const { control, clock } = context;
  return {
    certificate: { ...entity.value, state: stateAt(entity.value, clock.now()) },
    usedBy: (users.get(entity.key) ?? []).map(routeText),
    nodes: control.serving.versionsOf(certificateId(entity.key)),
  };
}

export const listCertificates: Handler<"listCertificates"> = ({ params, query }, context) => {
  const { certificates } = context.state.view;
  const found = booleanOf("all", query.all)
    ? certificates.all()
    : [CLUSTER, params].flatMap((scope) => certificates.by("environment", environmentOf(scope)));
  const users = usersOfAll(context.state.view);
  return pageOf(found, query, (entity) => viewOf(context, entity, users));
};

export const getCertificate: Handler<"getCertificate"> = (request, context) => {
  const named = namedOf(request);
  const found = findCertificate(context.state.view, named);
  if (found === undefined) {
    const advice = "what exists:  berth certificate ls";
    throw new ProtocolError("not_found", `there is no certificate ${named.name}`, { advice });
  }
  return viewOf(context, found);
};

export const putCertificate: Handler<"putCertificate"> = (request, context) => {
  const { clock, secrets: box, store } = context;
  const now = clock.now();
  const read = readCertificate({ ...request.body, now });
  const vault = new Vault({ box, store });
  return decided(request, context, "putCertificate", (view) =>
    takeFile(view, namedOf(request), { read, vault, now }),
  );
};

export const issueCertificate: Handler<"issueCertificate"> = (request, context) => {
  const input = { issue: request.body, now: context.clock.now() };
  return decided(request, context, "issueCertificate", (view) =>
    wishIssue(view, namedOf(request), input),
  );
};

export const renewCertificate: Handler<"renewCertificate"> = (request, context) => {
  const now = context.clock.now();
  return decided(request, context, "renewCertificate", (view) =>
    wishRenewal(view, namedOf(request), now),
  );
};

export const removeCertificate: Handler<"removeCertificate"> = (request, context) => {
  const now = context.clock.now();
  return decided(request, context, "removeCertificate", (view) =>
    wishRemoval(view, namedOf(request), now),
  );
};

type Deciding = "putCertificate" | "issueCertificate" | "renewCertificate" | "removeCertificate";

/** Commits and answers with the routes that are (of a removed one: were) served with it. */
async function decided(
  request: ApiRequest<Deciding>,
  context: ApiContext,
  route: Deciding,
  decide: (view: ClusterView) => Decision<Certificate>,
): Promise<CertificateView> {
  const named = namedOf(request);
  const matched = (view: ClusterView) => findCertificate(view, named);
  const before = matched(context.state.view);
  const usedBefore = before === undefined ? [] : viewOf(context, before).usedBy;
  const certificate = await commitDecision(context, request, { route, matched }, decide);
  const now = matched(context.state.view);
  const isThere = now !== undefined && now.value.project === certificate.project;
  if (isThere && route !== "removeCertificate") return viewOf(context, now);
  return { certificate, usedBy: usedBefore, nodes: [] };
}

export const getAuthority: Handler<"getAuthority"> = (_request, { state }) => {
  const authority = state.view.authority.get(keys.authority())?.value;
  if (authority !== undefined) return authority;
  throw new ProtocolError("unavailable", "the cluster's authority is being made: try again");
};

export const syncNodeCertificates: Handler<"syncNodeCertificates"> = async (request, context) => {
  const { params, body, signal } = request;
  const { state, control, secrets: box, store } = context;
  if (state.view.nodes.get(keys.node(params.node)) === undefined) {
    throw new ProtocolError("not_found", `there is no node ${params.node}`);
  }
  if (body.serving !== undefined) control.noteServing(params.node, body.serving);
  const vault = new Vault({ box, store });
  const certificates = [];
  for (const { id, certificate, hosts, isDefault } of needsOfNode(state.view, params.node)) {
    const { current, name } = certificate.value;
    if (current === undefined) continue;
    const { version } = current;
    const isKnown = body.known[id] === version;
    // Replaced this very moment: the node is told of the newer one next.
    const pem = isKnown
      ? undefined
      : await vault.find(sealedKey(certificate.value, name, version), signal);
    if (!isKnown && pem === undefined) continue;
    certificates.push({
      id,
      version,
      hosts: [...hosts],
      ...(isDefault ? { default: true } : {}),
      ...(pem === undefined ? {} : { pem }),
    });
  }
  const http01 = state.view.acme.all().find(({ value }) => value.challenge === "http-01");
  return {
    certificates,
    ...(http01 === undefined ? {} : { acmeThumbprint: http01.value.thumbprint }),
  };
};
