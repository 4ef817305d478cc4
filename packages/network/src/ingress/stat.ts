/** What `show stat` says, read. */

import type { RouteFigures } from "../report.ts";

export interface StatRow {
  readonly backend: string;
  readonly name: string;
  /** `10.0.0.5:8080`; empty for frontends and backends. */
  readonly address: string;
  readonly sessions: number;
  readonly queued: number;
  readonly sessionsTotal: number;
}

/** Counters of a backend since its worker began. */
export type BackendFigures = Omit<RouteFigures, "routeId">;

type Fields = (name: string) => string;

/** Reads CSV with a header that names its columns. */
function rowsOf<T>(text: string, read: (field: Fields) => T): T[] {
  const [header = "", ...lines] = text.split("\n");
  const columns = new Map(
    header
      .replace(/^# /, "")
      .split(",")
      .map((name, index) => [name, index]),
  );
  return lines
    .filter((line) => line.includes(","))
    .map((line) => {
      const fields = line.split(",");
      return read((name) => fields[columns.get(name) ?? -1] ?? "");
    });
}

/** All rows that were asked for. */
export function parseStat(text: string): StatRow[] {
  return rowsOf(text, (field) => ({
    backend: field("pxname"),
    name: field("svname"),
    address: field("addr"),
    sessions: Number(field("scur")),
    queued: Number(field("qcur")),
    sessionsTotal: Number(field("stot")),
  }));
}

/** Backends by name. */
export function parseBackendFigures(text: string): ReadonlyMap<string, BackendFigures> {
  const rows = rowsOf(text, (field) => {
    const number = (name: string) => Number(field(name));
    const figures: BackendFigures = {
      // TCP counts connections.
      requests: number(field("mode") === "http" ? "req_tot" : "stot"),
      statuses: [
        number("hrsp_1xx"),
        number("hrsp_2xx"),
        number("hrsp_3xx"),
        number("hrsp_4xx"),
        number("hrsp_5xx"),
      ],
      bytesIn: number("bin"),
      bytesOut: number("bout"),
      sessions: number("scur"),
      answerMsMean: number("rtime"),
      totalMsMean: number("ttime"),
    };
    return [field("pxname"), figures] as const;
  });
  return new Map(rows);
}
