/**
 * Brings tables and certificates of a running worker in line, without a reload.
 *
 * A table says by its digest which contents it has, and is exchanged whole: the new contents are written beside
 * the old ones and take their place at once. Certificates are added before others are taken away; the list says
 * what is there. Running it twice changes nothing. Pure but for the commands' answers.
 */

import { X509Certificate } from "node:crypto";
import type { ListedCertificate } from "./certificates.ts";
import { DIGEST_KEY } from "./map-files.ts";

/** Sends commands to the current worker, in order, and returns what it says. */
export type AskWorker = (commands: readonly string[]) => Promise<string>;

/** A command and its body must fit HAProxy's buffer of 16 KiB. */
const BODY_BYTES_MAX = 8 * 1024;

/** Exchanges those of `maps` (path to text) that a worker has otherwise. Returns how many. */
export async function syncMaps(ask: AskWorker, maps: ReadonlyMap<string, string>): Promise<number> {
  if (maps.size === 0) return 0;
  const paths = [...maps.keys()];
  const said = await ask(paths.map((path) => `get map ${path} ${DIGEST_KEY}`));
  const found = [...said.matchAll(/^type=\S+.*$/gm)].map(
    ([line]) => /value="([^"]*)"/.exec(line)?.[1],
  );
  const stale = paths.filter((path, index) => found[index] !== digestIn(maps.get(path) ?? ""));
  for (const path of stale) await exchangeMap(ask, path, maps.get(path) ?? "");
  return stale.length;
}

function digestIn(text: string): string | undefined {
  return text.split("\n", 1)[0]?.slice(DIGEST_KEY.length + 1);
}

async function exchangeMap(ask: AskWorker, path: string, text: string): Promise<void> {
  const said = await ask([`prepare map ${path}`]);
  const version = /New version created: (\d+)/.exec(said)?.[1];
  if (version === undefined) return;
  for (const body of bodies(text)) await ask([`add map @${version} ${path} <<\n${body}`]);
  await ask([`commit map @${version} ${path}`]);
}

function* bodies(text: string): Generator<string> {
  let body = "";
  for (const line of text.split("\n")) {
    if (line === "") continue;
    if (body.length + line.length + 1 > BODY_BYTES_MAX) {
      yield body;
      body = "";
    }
    body += `${line}\n`;
  }
  if (body !== "") yield body;
}

/** A line of a worker's list of certificates. */
interface FoundCertificate {
  readonly file: string;
  readonly line: string;
  readonly filters: string;
}

/** Brings the list at `path` in line with `wanted`. Returns how many commands it took. */
export async function syncCertificates(
  ask: AskWorker,
  path: string,
  wanted: readonly ListedCertificate[],
): Promise<number> {
  const [first] = wanted;
  if (first === undefined) return 0;
  const found = parseList(await ask([`show ssl crt-list -n ${path}`]));
  const defaultSaid = await ask([`show ssl cert ${first.file}`]);
  const commands = certificateCommands(path, wanted, found, fingerprintIn(defaultSaid));
  for (const command of commands) await ask([command]);
  return commands.length;
}

/** In order: the default one's content, additions, removals. */
export function certificateCommands(
  path: string,
  wanted: readonly ListedCertificate[],
  found: readonly FoundCertificate[],
  defaultFingerprint: string | undefined,
): string[] {
  const [first] = wanted;
  if (first === undefined || found.length === 0) return [];
  const key = ({ file, filters }: { readonly file: string; readonly filters: string }) =>
    `${file} ${filters}`;
  const have = new Set(found.map(key));
  const want = new Set(wanted.map(key));
  const known = new Set(found.map(({ file }) => file));
  const exchange =
    defaultFingerprint === new X509Certificate(first.pem).fingerprint.replaceAll(":", "")
      ? []
      : contentCommands(first);
  const additions = wanted
    .filter((each) => !have.has(key(each)))
    .flatMap((each) => {
      const isNew = !known.has(each.file);
      known.add(each.file);
      return [
        ...(isNew ? [`new ssl cert ${each.file}`, ...contentCommands(each)] : []),
        `add ssl crt-list ${path} <<\n${key(each).trimEnd()}\n`,
      ];
    });
  const gone = found.filter((each) => !want.has(key(each)));
  const stillUsed = new Set(wanted.map(({ file }) => file));
  const files = new Set(gone.map(({ file }) => file).filter((file) => !stillUsed.has(file)));
  return [
    ...exchange,
    ...additions,
    ...gone.map(({ file, line }) => `del ssl crt-list ${path} ${file}:${line}`),
    ...[...files].map((file) => `del ssl cert ${file}`),
  ];
}

function contentCommands({ file, pem }: ListedCertificate): string[] {
  return [`set ssl cert ${file} <<\n${pem}`, `commit ssl cert ${file}`];
}

/** Reads `show ssl crt-list -n`. */
function parseList(text: string): FoundCertificate[] {
  return text.split("\n").flatMap((row) => {
    const [, file, line, filters = ""] = /^(\/[^ ]+):(\d+)(?: (.*))?$/.exec(row.trim()) ?? [];
    return file === undefined || line === undefined
      ? []
      : [{ file, line, filters: filters.trim() }];
  });
}

function fingerprintIn(text: string): string | undefined {
  return /^SHA1 FingerPrint: ([0-9A-F]+)$/m.exec(text)?.[1];
}
