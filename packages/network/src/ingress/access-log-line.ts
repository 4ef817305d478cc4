/** Reads a line of the access log (`access-log-format.ts`) into the JSON that people and programs get. Pure. */

import { LINE_KINDS } from "./access-log-format.ts";
import { parseBindName, routeIdOf } from "./plan.ts";

export type AccessLogFields = Readonly<Record<string, string | number>>;

/** How HAProxy writes a byte that does not belong into a line. */
const ESCAPED_BYTE = /^#[0-9A-F]{2}/;
/** `<NOSRV>`, `<BADREQ>`: what HAProxy writes where something else than a value would be missing. */
const NO_VALUE = /^<[A-Z]+>$/;
/** A field that has no value. */
const NOTHING = "-";

type FieldReader = (text: string) => string | number;
interface LineKind {
  /** In the order of the line; the last one is its rest, spaces and all. */
  readonly wire: Readonly<Record<string, FieldReader>>;
  /** In the order in which they are shown. */
  readonly shown: readonly string[];
}

const asIs: FieldReader = (text) => text;
const textOf = (text: string) => (NO_VALUE.test(text) ? NOTHING : text);
/** Servers are named `task:address:port`. */
const taskOf: FieldReader = (server) => textOf(server).split(":", 1)[0] ?? NOTHING;
/** Where no section was chosen, HAProxy names the port's own. */
const routeOf: FieldReader = (backend) =>
  parseBindName(backend) === undefined ? (routeIdOf(backend) ?? NOTHING) : NOTHING;
const pathOf: FieldReader = (text) => unescaped(textOf(text));

const KINDS: Readonly<Record<string, LineKind>> = {
  [LINE_KINDS.http]: {
    wire: {
      service: textOf,
      route: routeOf,
      task: taskOf,
      client: textOf,
      method: textOf,
      protocol: asIs,
      tls: asIs,
      status: Number,
      bytesIn: Number,
      bytesOut: Number,
      requestMs: Number,
      queueMs: Number,
      connectMs: Number,
      answerMs: Number,
      totalMs: Number,
      retries: Number,
      end: asIs,
      path: pathOf,
      host: textOf,
    },
    shown: (
      "client method host path protocol tls route service task status bytesIn bytesOut " +
      "requestMs queueMs connectMs answerMs totalMs retries end"
    ).split(" "),
  },
  [LINE_KINDS.tcp]: {
    wire: {
      service: textOf,
      route: routeOf,
      task: taskOf,
      client: textOf,
      bytesIn: Number,
      bytesOut: Number,
      queueMs: Number,
      connectMs: Number,
      totalMs: Number,
      retries: Number,
      end: asIs,
    },
    shown: "client route service task bytesIn bytesOut queueMs connectMs totalMs retries end".split(
      " ",
    ),
  },
  [LINE_KINDS.error]: {
    wire: { client: textOf, frontend: asIs, error: textOf },
    shown: ["client", "frontend", "error"],
  },
};

/**
 * Fields of a line, in the order of docs/reference/routes.md; undefined for what is no line of the log
 * (HAProxy's remarks, half a line).
 */
export function parseAccessLine(line: string): AccessLogFields | undefined {
  const [letter = "", milliseconds = ""] = line.split(" ", 2);
  const kind = KINDS[letter];
  if (kind === undefined || !/^\d{13}$/.test(milliseconds)) return undefined;
  const names = Object.keys(kind.wire);
  const texts = splitFields(line.slice(letter.length + milliseconds.length + 2), names.length);
  if (texts === undefined) return undefined;
  const fields = new Map(names.map((name, at) => [name, kind.wire[name]?.(texts[at] ?? "") ?? ""]));
  return {
    time: new Date(Number(milliseconds)).toISOString(),
    ...Object.fromEntries(kind.shown.map((name) => [name, fields.get(name) ?? ""])),
    ...(letter === LINE_KINDS.tcp ? { protocol: "TCP" } : {}),
  };
}

/** As many texts as asked for, the last one with all that is left; undefined where there are fewer. */
function splitFields(text: string, count: number): string[] | undefined {
  const fields: string[] = [];
  let from = 0;
  while (fields.length < count - 1) {
    const end = text.indexOf(" ", from);
    if (end === -1) return undefined;
    fields.push(text.slice(from, end));
    from = end + 1;
  }
  return [...fields, text.slice(from)];
}

function unescaped(path: string): string {
  if (!path.includes("#")) return path;
  const bytes: Buffer[] = [];
  for (let at = 0; at < path.length; ) {
    const isEscaped = ESCAPED_BYTE.test(path.slice(at, at + 3));
    bytes.push(
      isEscaped
        ? Buffer.from(path.slice(at + 1, at + 3), "hex")
        : Buffer.from(path.charAt(at), "utf8"),
    );
    at += isEscaped ? 3 : 1;
  }
  return Buffer.concat(bytes).toString("utf8");
}
