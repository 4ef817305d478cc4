/**
 * The rules of an HTTP frontend that find a request's route: lookups in the tables of `route-table.ts`.
 *
 * They leave the backend's name in `txn.route`, unless one lookup says all. Requests for hosts without conditions are through after a few
 * lookups (`http-request allow` ends the section); only the others see the classes. Pure.
 */

import type { HeaderMatchModel } from "../model.ts";
import { quoted } from "./quoting.ts";
import { CONDITIONAL, type HostLevel, type RouteClass, type RouteTable } from "./route-table.ts";

/** Paths of a frontend's tables; see `mapFiles`. */
export interface TablePaths {
  readonly prefixes: string;
  readonly exactPaths: string;
  readonly rankedPrefixes: string;
  readonly rankedExactPaths: string;
  readonly ranks: string;
}

/** A rule, and the routes that it is there for alone. */
export interface OwnedLine {
  readonly line: string;
  readonly routeIds?: readonly string[];
}

/** No rank is as large. */
const NO_RANK = 2_147_483_647;
const UNDECIDED = "!{ var(txn.route) -m found }";

/** What a request's backend is called, after `lookupLines`; nothing where no route is meant. */
export function routeExpression(table: RouteTable, paths: TablePaths): string {
  const level = onlyLookup(table);
  if (level === undefined) return "var(txn.route)";
  return `${keyExpression(level, "/")},map_beg(${paths.prefixes})`;
}

/** Where all hosts are exact ones and only path prefixes decide, as on most nodes, no variable is needed between. */
function onlyLookup({ levels, classes }: RouteTable): HostLevel | undefined {
  const [level, ...others] = levels;
  if (level?.kind !== "exact" || others.length > 0 || classes.length > 0) return undefined;
  return level.hasExactPaths ? undefined : level;
}

export function lookupLines(table: RouteTable, paths: TablePaths): OwnedLine[] {
  const { levels, classes } = table;
  const plain = (line: string) => ({ line });
  const fast = [
    "http-request set-var(txn.host) req.fhdr(Host),host_only,lower,rtrim(.)",
    // A slash is where the path begins in the keys.
    "http-request deny deny_status 400 if { var(txn.host) -m sub / }",
    "http-request set-var(txn.path) path",
    ...(onlyLookup(table) === undefined ? levels : []).flatMap((level, index) => [
      ...suffixLines(level, index > 0),
      ...simpleLines(level, paths, index > 0),
    ]),
  ];
  if (classes.length === 0) return fast.map(plain);
  return [
    ...fast,
    `http-request allow unless { var(txn.route) -m str ${CONDITIONAL} }`,
    "http-request unset-var(txn.route)",
    "http-request set-var(txn.method) method",
    ...headerNames(classes).flatMap((name, index) => [
      `http-request set-var(txn.h${index}) req.fhdr(${name})`,
      // Whatever a client writes into it, its end in a key is certain.
      ...(classes.some(({ keyHeaders }) => keyHeaders.includes(name))
        ? [`http-request set-var(txn.b${index}) req.fhdr(${name}),base64`]
        : []),
    ]),
  ]
    .map(plain)
    .concat(levels.flatMap((level) => conditionalLines(level, table, paths)));
}

/** Labels at the host's end that a wildcard may name, if there are more before them. */
function suffixLines({ kind, labels }: HostLevel, later: boolean): string[] {
  if (kind !== "wildcard") return [];
  const more = `{ var(txn.host),field(-${labels + 1},.) -m found }`;
  const expression = `var(txn.host),field(-1,.,${labels})`;
  return [
    `http-request set-var(txn.w${labels}) ${expression} if ${later ? `${UNDECIDED} ` : ""}${more}`,
  ];
}

function simpleLines(level: HostLevel, paths: TablePaths, later: boolean): string[] {
  const condition = later ? ` if ${UNDECIDED}` : "";
  const set = "http-request set-var(txn.route)";
  return [
    ...(level.hasExactPaths
      ? [`${set} ${keyExpression(level, "")},map_str(${paths.exactPaths})${condition}`]
      : []),
    `${set} ${keyExpression(level, "/")},map_beg(${paths.prefixes})${
      level.hasExactPaths && !later ? ` if ${UNDECIDED}` : condition
    }`,
  ];
}

/** Host and path as one text, `end` after them. */
function keyExpression(level: HostLevel, end: "" | "/"): string {
  const path = `concat(,txn.path,${end})`;
  switch (level.kind) {
    case "exact":
      return `var(txn.host),${path}`;
    case "wildcard":
      return `str(*.),concat(,txn.w${level.labels}),${path}`;
    case "any":
      return `str(*),${path}`;
  }
}

/** All classes' candidates of one level, the best of them, and else the host's plain routes. */
function conditionalLines(
  level: HostLevel,
  { classes }: RouteTable,
  paths: TablePaths,
): OwnedLine[] {
  const plain = (line: string) => ({ line });
  const again = [...suffixLines(level, true), ...simpleLines(level, paths, true)].map(plain);
  const forget = plain(
    `http-request unset-var(txn.route) if { var(txn.route) -m str ${CONDITIONAL} }`,
  );
  if (!level.hasConditions) return again;
  const names = headerNames(classes);
  return [
    ...suffixLines(level, true).map(plain),
    plain(`http-request set-var(txn.best) int(${NO_RANK}) if ${UNDECIDED}`),
    ...classes.flatMap((each) => {
      const conditions = [UNDECIDED, ...classConditions(each, names)].join(" ");
      const candidates = [
        ...(each.hasExactPaths
          ? [
              `${classKey(each, level, names, "")},map_str_int(${paths.rankedExactPaths},${NO_RANK})`,
            ]
          : []),
        ...(each.hasPrefixes
          ? [`${classKey(each, level, names, "/")},map_beg_int(${paths.rankedPrefixes},${NO_RANK})`]
          : []),
      ];
      return candidates.flatMap((candidate) => [
        {
          line: `http-request set-var(txn.rank) ${candidate} if ${conditions}`,
          routeIds: each.routeIds,
        },
        {
          line: `http-request set-var(txn.best) var(txn.rank) if ${conditions} { var(txn.rank),sub(txn.best) lt 0 }`,
          routeIds: each.routeIds,
        },
      ]);
    }),
    plain(
      `http-request set-var(txn.route) var(txn.best),map_str(${paths.ranks}) if ${UNDECIDED} { var(txn.best) -m int lt ${NO_RANK} }`,
    ),
    ...simpleLines(level, paths, true).map(plain),
    forget,
  ];
}

function headerNames(classes: readonly RouteClass[]): string[] {
  const names = classes.flatMap(({ keyHeaders, headers }) => [
    ...keyHeaders,
    ...headers.map(({ name }) => name),
  ]);
  return [...new Set(names)].sort();
}

function classKey(
  { id, byMethod, keyHeaders }: RouteClass,
  level: HostLevel,
  names: readonly string[],
  end: "" | "/",
): string {
  const path = `concat(,txn.path,${end})`;
  const host = {
    exact: `concat(,txn.host),${path}`,
    wildcard: `concat(*.,txn.w${level.labels}),${path}`,
    any: `concat(*),${path}`,
  }[level.kind];
  return [
    `str(${id}|)`,
    ...(byMethod ? ["concat(,txn.method,|)"] : []),
    ...keyHeaders.map((name) => `concat(,txn.b${names.indexOf(name)},|)`),
    host,
  ].join(",");
}

function classConditions({ headers, regex }: RouteClass, names: readonly string[]): string[] {
  return [
    ...headers.map((header) => headerCondition(header, names.indexOf(header.name))),
    ...(regex === undefined ? [] : [`{ var(txn.path) -m reg -- ${quoted(`^(?:${regex})$`)} }`]),
  ];
}

function headerCondition({ kind, value = "" }: HeaderMatchModel, index: number): string {
  const header = `var(txn.h${index})`;
  switch (kind) {
    case "exact":
      return `{ ${header} -m str -- ${quoted(value)} }`;
    case "prefix":
      return `{ ${header} -m beg -- ${quoted(value)} }`;
    case "regex":
      return `{ ${header} -m reg -- ${quoted(value)} }`;
    case "present":
      return `{ ${header} -m found }`;
    case "absent":
      return `!{ ${header} -m found }`;
  }
}
