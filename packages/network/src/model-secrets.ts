/**
 * Secrets of a model apart from the rest: the rest may lie on a disk, they stay in memory.
 *
 * What is told to `net` is kept as it came, so this works on plain data that `parseModel` has let through. A
 * model whose secrets are gone (after a reboot) has no certificates, and routes with users that nobody is
 * (they answer 503), until the agent tells it again. Pure; O(size of the model).
 */

/** A model as it came: what is read here has passed the border, the rest is carried along. */
interface RawModel {
  readonly certificates?: unknown;
  readonly ingress?: { readonly httpRoutes?: readonly RawRoute[] };
}

interface RawRoute {
  readonly id?: string;
  readonly auth?: { readonly realm: string; readonly users: unknown };
}

/** Kept in memory, by the generation that they belong to. */
export interface ModelSecrets {
  readonly generation: number;
  readonly certificates?: unknown;
  /** Users of routes, by the route's id. */
  readonly users: Readonly<Record<string, unknown>>;
}

/** Takes the secrets out of a model. */
export function withoutSecrets(
  model: unknown,
  generation: number,
): { readonly rest: unknown; readonly secrets: ModelSecrets } {
  const { certificates, ...rest } = model as RawModel;
  const users: Record<string, unknown> = {};
  const routes = rest.ingress?.httpRoutes?.map((route) => {
    if (route.auth === undefined || route.id === undefined) return route;
    users[route.id] = route.auth.users;
    return { ...route, auth: { ...route.auth, users: [] } };
  });
  const ingress = { ...rest.ingress, ...(routes === undefined ? {} : { httpRoutes: routes }) };
  return {
    rest: { ...rest, ingress },
    secrets: { generation, users, ...(certificates === undefined ? {} : { certificates }) },
  };
}

/** Puts them back; as it is when they belong to another generation. */
export function withSecrets(rest: unknown, secrets: ModelSecrets | undefined): unknown {
  if (typeof rest !== "object" || rest === null || secrets === undefined) return rest;
  const model = rest as RawModel & { readonly generation?: number };
  if (secrets.generation !== model.generation) return rest;
  const routes = model.ingress?.httpRoutes?.map((route) => {
    const users = secrets.users[route.id ?? ""];
    if (route.auth === undefined || users === undefined) return route;
    return { ...route, auth: { ...route.auth, users } };
  });
  return {
    ...model,
    ...(secrets.certificates === undefined ? {} : { certificates: secrets.certificates }),
    ingress: { ...model.ingress, ...(routes === undefined ? {} : { httpRoutes: routes }) },
  };
}
