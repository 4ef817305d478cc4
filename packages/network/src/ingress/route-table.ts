/**
 * Which route a request takes, as tables that HAProxy looks things up in: no request is compared with one
 * route after the other.
 *
 * A host is exact, a wildcard (`*.name`: one label or more before it) or `*`. Hosts are tried from the exact
 * one over wildcards with more labels to `*`: one lookup each. Inside a host the longest prefix is found in a
 * tree. Routes with conditions (method, headers, expression) belong to a *class*: routes that ask for the
 * same headers and differ only in values share it, since method and exact values are part of the looked-up key.
 * A class costs one lookup, and only requests for a host that has such a route pay for classes at all.
 *
 * Order inside a host: exact path, expression, longer prefix; then more headers, a method; then the smaller
 * id. `matchRoute` says the same slowly and obviously; tests hold HAProxy against it. O(n log n).
 */

import type { HeaderMatchModel, HttpRouteModel } from "../model.ts";
import type { NetProblem } from "../report.ts";

/** One route on one host, as it is looked up. */
export interface RouteEntry {
  readonly route: HttpRouteModel;
  readonly backend: string;
  /** `shop.test`, `*.shop.test`, `*`; lower case, no dot at the end. */
  readonly host: string;
  readonly path: EntryPath;
  /** Only this one; omitted: any. A route with several methods has an entry for each. */
  readonly method?: string;
  /** In one order, so that the same wishes in another order are the same; names in lower case. */
  readonly headers: readonly HeaderMatchModel[];
  /** Conditions that entries of one class have in common. */
  readonly signature: string;
}

export type EntryPath =
  | { readonly kind: "exact"; readonly text: string }
  | { readonly kind: "regex"; readonly text: string }
  /** Without a slash at its end: `` for all paths. */
  | { readonly kind: "prefix"; readonly text: string };

/** Conditions that entries share; what differs between them is in their keys. */
export interface RouteClass {
  /** `c0`, the beginning of its keys. */
  readonly id: string;
  readonly byMethod: boolean;
  /** Headers whose whole value is part of the key, lower case. */
  readonly keyHeaders: readonly string[];
  /** Conditions that are no lookup. */
  readonly headers: readonly HeaderMatchModel[];
  readonly regex?: string;
  readonly routeIds: readonly string[];
  readonly hasExactPaths: boolean;
  readonly hasPrefixes: boolean;
}

export interface RouteTable {
  /** Key to backend, for hosts without conditions; hosts with some lead to `CONDITIONAL`. */
  readonly prefixes: readonly (readonly [key: string, backend: string])[];
  readonly exactPaths: readonly (readonly [key: string, backend: string])[];
  /** Key to rank; smaller ranks win. */
  readonly rankedPrefixes: readonly (readonly [key: string, rank: number])[];
  readonly rankedExactPaths: readonly (readonly [key: string, rank: number])[];
  readonly ranks: readonly string[];
  readonly classes: readonly RouteClass[];
  readonly levels: readonly HostLevel[];
  readonly problems: readonly NetProblem[];
}

/** A step of the search for the host. */
export interface HostLevel {
  readonly kind: "exact" | "wildcard" | "any";
  /** Labels after the `*.` of a wildcard. */
  readonly labels: number;
  readonly hasConditions: boolean;
  readonly hasExactPaths: boolean;
}

/** In place of a backend: the host's routes have conditions. No backend has this name. */
export const CONDITIONAL = "?";

/** Tables of `routes`; `backendOf` names where each leads. */
export function routeTable(
  routes: readonly HttpRouteModel[],
  backendOf: (route: HttpRouteModel) => string,
): RouteTable {
  const problems: NetProblem[] = [];
  const entries = withoutClashes(
    [...routes].sort(byId).flatMap((route) => entriesOf(route, backendOf(route))),
    problems,
  );
  const conditional = new Set(entries.filter(hasConditions).map(({ host }) => host));
  const simple = entries.filter(({ host }) => !conditional.has(host));
  const ranked = entries.filter(({ host }) => conditional.has(host)).sort(byPrecedence);
  const classes = classesOf(ranked);
  const keyed = ranked.map((entry, rank) => ({
    entry,
    pair: [rankedKey(entry, classes), rank] as const,
  }));
  const isExact = ({ entry }: (typeof keyed)[number]) => entry.path.kind === "exact";
  return {
    prefixes: [
      ...simple.filter(({ path }) => path.kind !== "exact").map(simplePair),
      ...[...conditional].map((host) => [`${host}/`, CONDITIONAL] as const),
    ].sort(byKey),
    exactPaths: simple
      .filter(({ path }) => path.kind === "exact")
      .map(simplePair)
      .sort(byKey),
    rankedPrefixes: keyed.filter((each) => !isExact(each)).map(({ pair }) => pair),
    rankedExactPaths: keyed.filter(isExact).map(({ pair }) => pair),
    ranks: ranked.map(({ backend }) => backend),
    classes: [...classes.values()],
    levels: levelsOf(entries, conditional),
    problems,
  };
}

function entriesOf(route: HttpRouteModel, backend: string): RouteEntry[] {
  const hosts = [...new Set(route.hosts.map((host) => host.toLowerCase().replace(/\.$/, "")))];
  const methods: readonly (string | undefined)[] = route.methods ?? [undefined];
  const path = pathOf(route);
  const headers = headersOf(route);
  const signature = signatureOf(headers, path, route.methods !== undefined);
  return hosts.flatMap((host) =>
    [...new Set(methods)].map((method) => ({
      ...{ route, backend, host, path, headers, signature },
      ...(method === undefined ? {} : { method }),
    })),
  );
}

export function pathOf(route: HttpRouteModel): EntryPath {
  if (route.pathExact !== undefined) return { kind: "exact", text: route.pathExact };
  if (route.pathRegex !== undefined) return { kind: "regex", text: route.pathRegex };
  return { kind: "prefix", text: route.pathPrefix.replace(/\/+$/, "") };
}

function hasConditions({ headers, method, path }: RouteEntry): boolean {
  return method !== undefined || headers.length > 0 || path.kind === "regex";
}

function headersOf(route: HttpRouteModel): readonly HeaderMatchModel[] {
  return [...(route.headers ?? [])]
    .map((header) => ({ ...header, name: header.name.toLowerCase() }))
    .sort((a, b) => (headerText(a) < headerText(b) ? -1 : 1));
}

function headerText({ name, kind, value }: HeaderMatchModel): string {
  return JSON.stringify([name, kind, value ?? ""]);
}

/** What two entries must not have in common. */
function wishOf({ headers, host, path, method }: RouteEntry): string {
  return JSON.stringify([host, path.kind, path.text, method ?? "", headers.map(headerText)]);
}

/** The smaller id has it. */
function withoutClashes(entries: readonly RouteEntry[], problems: NetProblem[]): RouteEntry[] {
  const holders = new Map<string, string>();
  const told = new Set<string>();
  return entries.filter((entry) => {
    const { id } = entry.route;
    const wish = wishOf(entry);
    const otherId = holders.get(wish);
    if (otherId === undefined) holders.set(wish, id);
    else if (otherId !== id && !told.has(`${id} ${otherId}`)) {
      told.add(`${id} ${otherId}`);
      problems.push({ code: "route_clash", id, otherId });
    }
    return otherId === undefined;
  });
}

const PATH_ORDER = { exact: 0, regex: 1, prefix: 2 } as const;

function byPrecedence(a: RouteEntry, b: RouteEntry): number {
  return (
    PATH_ORDER[a.path.kind] - PATH_ORDER[b.path.kind] ||
    (a.path.kind === "prefix" ? b.path.text.length - a.path.text.length : 0) ||
    b.headers.length - a.headers.length ||
    Number(b.method !== undefined) - Number(a.method !== undefined) ||
    byId(a.route, b.route)
  );
}

function classesOf(entries: readonly RouteEntry[]): ReadonlyMap<string, RouteClass> {
  const groups = new Map<string, RouteEntry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.signature) ?? [];
    groups.set(entry.signature, group);
    group.push(entry);
  }
  return new Map(
    [...groups].map(([signature, group], index) => [signature, classOf(group, `c${index}`)]),
  );
}

/** Of entries with the same signature: the first one stands for all. */
function classOf(group: readonly RouteEntry[], id: string): RouteClass {
  const [first] = group;
  const { headers = [], method, path } = first ?? {};
  const isKey = isKeyHeader(headers);
  return {
    id,
    byMethod: method !== undefined,
    keyHeaders: headers.filter(isKey).map(({ name }) => name),
    headers: headers.filter((header) => !isKey(header)),
    ...(path?.kind === "regex" ? { regex: path.text } : {}),
    routeIds: [...new Set(group.map(({ route }) => route.id))],
    hasExactPaths: group.some((entry) => entry.path.kind === "exact"),
    hasPrefixes: group.some((entry) => entry.path.kind !== "exact"),
  };
}

/** A header that is asked for twice cannot be one part of a key. */
function isKeyHeader(all: readonly HeaderMatchModel[]): (header: HeaderMatchModel) => boolean {
  return ({ kind, name }) =>
    kind === "exact" && all.filter((other) => other.name === name).length === 1;
}

function signatureOf(
  headers: readonly HeaderMatchModel[],
  path: EntryPath,
  byMethod: boolean,
): string {
  const isKey = isKeyHeader(headers);
  return JSON.stringify([
    byMethod,
    headers.map((header) => (isKey(header) ? header.name : headerText(header))),
    path.kind === "regex" ? path.text : "",
  ]);
}

function rankedKey(entry: RouteEntry, classes: ReadonlyMap<string, RouteClass>): string {
  const { id = "" } = classes.get(entry.signature) ?? {};
  const values = entry.headers
    .filter(isKeyHeader(entry.headers))
    .map(({ value = "" }) => Buffer.from(value).toString("base64"));
  const parts = [id, ...(entry.method === undefined ? [] : [entry.method]), ...values];
  return [...parts, simpleKey(entry)].join("|");
}

/** Prefixes end with a slash, as the text does that is looked up: so whole segments are compared. */
function simpleKey({ host, path }: RouteEntry): string {
  if (path.kind === "exact") return host + path.text;
  return path.kind === "regex" ? `${host}/` : `${host}${path.text}/`;
}

function simplePair(entry: RouteEntry): readonly [string, string] {
  return [simpleKey(entry), entry.backend];
}

function levelsOf(entries: readonly RouteEntry[], conditional: ReadonlySet<string>): HostLevel[] {
  const levels = new Map<number, HostLevel>();
  for (const { host, path } of entries) {
    const rank = levelRank(host);
    const known = levels.get(rank);
    levels.set(rank, {
      kind: host === "*" ? "any" : host.startsWith("*.") ? "wildcard" : "exact",
      labels: host.startsWith("*.") ? host.split(".").length - 1 : 0,
      hasConditions: conditional.has(host) || (known?.hasConditions ?? false),
      hasExactPaths: path.kind === "exact" || (known?.hasExactPaths ?? false),
    });
  }
  return [...levels].sort(([a], [b]) => b - a).map(([, level]) => level);
}

/** Larger ones are tried first; a name has at most 127 labels. */
function levelRank(host: string): number {
  if (host === "*") return -1;
  return host.startsWith("*.") ? host.split(".").length : 1_000;
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

/** What of a request decides about its route. */
export interface RequestLine {
  /** As in the Host header, without a port. */
  readonly host: string;
  /** Without the query. */
  readonly path: string;
  readonly method: string;
  /** Names in lower case; of several headers of one name the last. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The route that a request takes, by comparing it with all of them: the meaning that the tables must have.
 * O(routes).
 */
export function matchRoute(
  routes: readonly HttpRouteModel[],
  request: RequestLine,
): HttpRouteModel | undefined {
  const entries = withoutClashes(
    [...routes].sort(byId).flatMap((route) => entriesOf(route, "")),
    [],
  );
  const host = request.host.toLowerCase().replace(/\.+$/, "");
  return entries
    .filter((entry) => hostMatches(entry.host, host) && entryMatches(entry, request))
    .sort((a, b) => levelRank(b.host) - levelRank(a.host) || byPrecedence(a, b))[0]?.route;
}

function hostMatches(wanted: string, host: string): boolean {
  if (wanted === "*") return true;
  return wanted.startsWith("*.") ? host.endsWith(wanted.slice(1)) : host === wanted;
}

function entryMatches({ headers, path, method }: RouteEntry, request: RequestLine): boolean {
  if (method !== undefined && method !== request.method) return false;
  if (!headers.every((header) => headerMatches(header, request.headers))) return false;
  switch (path.kind) {
    case "exact":
      return request.path === path.text;
    case "regex":
      return new RegExp(`^(?:${path.text})$`).test(request.path);
    case "prefix":
      return `${request.path}/`.startsWith(`${path.text}/`);
  }
}

function headerMatches(
  { name, kind, value = "" }: HeaderMatchModel,
  headers: RequestLine["headers"],
): boolean {
  const found = headers[name];
  switch (kind) {
    case "exact":
      return found === value;
    case "prefix":
      return found?.startsWith(value) ?? false;
    case "regex":
      return found !== undefined && new RegExp(value).test(found);
    case "present":
      return found !== undefined;
    case "absent":
      return found === undefined;
  }
}
