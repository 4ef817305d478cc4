/**
 * Logins at image registries. The password is sealed with the place that it is for, so that it cannot be
 * moved to another registry; it is opened only for a node that has work of a project that may use it.
 */

import {
  CLUSTER_SCOPE,
  keys,
  ProtocolError,
  type RegistryAuth,
  type RegistryLogin,
} from "@berth/protocol";
import type { ClusterView } from "../../state/cluster-tables.ts";
import type { ApiContext, Handler } from "../handler.ts";

/** A row of the store. */
interface StoredLogin {
  readonly username: string;
  readonly updatedAt: number;
  /** The password, as `SecretBox.seal` made it. */
  readonly sealed: string;
}

/** Of one project, or of the cluster: a company has a handful of registries. */
export const REGISTRIES_MAX = 100;

export const listRegistries: Handler<"listRegistries"> = async ({ query, signal }, context) => {
  const scopes = query.project === undefined ? [CLUSTER_SCOPE] : [query.project, CLUSTER_SCOPE];
  const items: RegistryLogin[] = [];
  for (const scope of scopes) items.push(...(await loginsOf(context, scope, signal)));
  return { items };
};

async function loginsOf(
  { store }: Pick<ApiContext, "store">,
  scope: string,
  signal: AbortSignal,
): Promise<RegistryLogin[]> {
  const prefix = keys.registry(scope, "");
  const { entries } = await store.list(prefix, { limit: REGISTRIES_MAX, signal });
  return entries.map(({ key, value }) =>
    loginOf(scope, decodeURIComponent(key.slice(prefix.length)), storedOf(value)),
  );
}

function storedOf(value: string): StoredLogin {
  return JSON.parse(value) as StoredLogin;
}

function loginOf(scope: string, server: string, stored: StoredLogin): RegistryLogin {
  const { username, updatedAt } = stored;
  return { server, ...(scope === CLUSTER_SCOPE ? {} : { project: scope }), username, updatedAt };
}

export const putRegistry: Handler<"putRegistry"> = async ({ params, body, signal }, context) => {
  const server = params.server.toLowerCase();
  const scope = body.project ?? CLUSTER_SCOPE;
  const key = keys.registry(scope, server);
  const known = await loginsOf(context, scope, signal);
  if (known.length >= REGISTRIES_MAX && !known.some((login) => login.server === server)) {
    const details = { limit: "registries", value: known.length + 1, maximum: REGISTRIES_MAX };
    throw new ProtocolError("limit_exceeded", `at most ${REGISTRIES_MAX} logins`, details);
  }
  const stored: StoredLogin = {
    username: body.username,
    updatedAt: context.clock.now(),
    sealed: context.secrets.seal(Buffer.from(body.password), key),
  };
  await context.store.txn({
    compare: [],
    then: [{ kind: "put", key, value: JSON.stringify(stored) }],
  });
  return loginOf(scope, server, stored);
};

export const removeRegistry: Handler<"removeRegistry"> = async (request, context) => {
  const { params, query, signal } = request;
  const server = params.server.toLowerCase();
  const scope = query.project ?? CLUSTER_SCOPE;
  const key = keys.registry(scope, server);
  const { entry } = await context.store.get(key, { signal });
  if (entry === undefined) {
    const whose = scope === CLUSTER_SCOPE ? "the cluster" : `project ${scope}`;
    throw new ProtocolError("not_found", `${whose} has no login at ${server}`);
  }
  await context.store.txn({ compare: [], then: [{ kind: "delete", key }] });
  return loginOf(scope, server, storedOf(entry.value));
};

export const getRegistryAuths: Handler<"getRegistryAuths"> = async (request, context) => {
  const { params, query, signal } = request;
  if (!hasWorkOf(context.state.view, params.node, query.project)) {
    const message = `node ${params.node} has no work of project ${query.project}`;
    throw new ProtocolError("not_found", message);
  }
  const auths = new Map<string, RegistryAuth>();
  // The project's own come last and replace the cluster's.
  for (const scope of [CLUSTER_SCOPE, query.project]) {
    for (const auth of await authsOf(context, scope, signal)) auths.set(auth.server, auth);
  }
  const wanted = query.server?.toLowerCase();
  return { auths: [...auths.values()].filter(({ server }) => server === (wanted ?? server)) };
};

function hasWorkOf(view: ClusterView, node: string, project: string): boolean {
  const isOfProject = ({ value }: { readonly value: { readonly project: string } }) =>
    value.project === project;
  return (
    view.tasks.by("node", node).some(isOfProject) ||
    view.operations.by("node", node).some(isOfProject)
  );
}

async function authsOf(
  { store, secrets }: Pick<ApiContext, "store" | "secrets">,
  scope: string,
  signal: AbortSignal,
): Promise<RegistryAuth[]> {
  const prefix = keys.registry(scope, "");
  const { entries } = await store.list(prefix, { limit: REGISTRIES_MAX, signal });
  return entries.map(({ key, value }) => {
    const { username, sealed } = storedOf(value);
    const password = Buffer.from(secrets.open(sealed, key)).toString("utf8");
    return { server: decodeURIComponent(key.slice(prefix.length)), username, password };
  });
}
