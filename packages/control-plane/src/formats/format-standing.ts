/**
 * How far the formats of the cluster's state are, and who holds them back. Pure.
 *
 * Everybody counts who may read the state again: servers that are away until they are forgotten or removed, nodes
 * that are silent until they are removed. Cost: O(servers + nodes).
 */

import {
  FORMAT_HOLDERS_SHOWN,
  FORMAT_LEVEL,
  FORMAT_LEVEL_FIRST,
  type FormatHolder,
  type FormatStanding,
  keys,
  ProtocolError,
} from "@berth/protocol";
import type { FormatRow } from "../state/claim-holder.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Store } from "../store/port.ts";

type Members = Pick<
  ClusterView,
  "formats" | "servers" | "serverAddresses" | "nodes" | "nodeStatuses"
>;

/** Who reads the state: this server is known to itself and not looked up. */
export interface FormatQuestion {
  readonly view: Members;
  /** This server's machine as a node: what its rows say may be of the version before. */
  readonly own: string | undefined;
  /** Newest level that this software reads; a parameter for tests of versions to come. */
  readonly newest?: number;
}

/** The level up to which formats may be written. */
export function formatLevel(view: Pick<ClusterView, "formats">): number {
  return view.formats.get(keys.format())?.value.level ?? FORMAT_LEVEL_FIRST;
}

export function formatStanding(question: FormatQuestion): FormatStanding {
  const { view, newest = FORMAT_LEVEL } = question;
  const heldBackBy = membersOf(question)
    .filter(({ format }) => format < newest)
    .slice(0, FORMAT_HOLDERS_SHOWN);
  return { level: formatLevel(view), newest, heldBackBy };
}

/** What the level can rise to: what everybody reads. Never below what it is. */
export function formatTarget(question: FormatQuestion): number {
  const { view, newest = FORMAT_LEVEL } = question;
  const read = Math.min(newest, ...membersOf(question).map(({ format }) => format));
  return Math.max(read, formatLevel(view));
}

/** Servers first, each once, by the oldest that is known of it. */
function membersOf({ view, own }: FormatQuestion): FormatHolder[] {
  const servers = new Map<string, FormatHolder>();
  const add = (node: string, version: string, format = FORMAT_LEVEL_FIRST) => {
    if (node === own) return;
    const known = servers.get(node);
    const oldest = known === undefined || format < known.format;
    const said = version === "" ? (known?.version ?? "") : version;
    servers.set(node, {
      member: `server ${node}`,
      version: said,
      format: oldest ? format : known.format,
    });
  };
  for (const { value } of view.serverAddresses.all()) add(value.node, value.version, value.format);
  for (const { value } of view.servers.all()) add(value.node ?? value.server, "", value.format);
  const nodes = view.nodes.all().map(({ value: { name } }): FormatHolder => {
    const status = view.nodeStatuses.get(keys.nodeStatus(name))?.value;
    const format = status?.format ?? FORMAT_LEVEL_FIRST;
    return { member: `node ${name}`, version: status?.agentVersion ?? "", format };
  });
  return [...servers.values(), ...nodes];
}

/** `server three (0.1.0+abc reads 1)`, `and 3 more` */
export function holderWords(holders: readonly FormatHolder[], shown = 3): string {
  const named = holders
    .slice(0, shown)
    .map(
      ({ member, version, format }) =>
        `${member} (${version || "unknown version"} reads ${format})`,
    );
  const more = holders.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/** What somebody is told who cannot read everything that may be in the state. */
export function tooOld(
  level: number,
  party: { readonly who: string; readonly version: string; readonly format: number },
): ProtocolError {
  const { who, version, format } = party;
  const message = `${who} (${version}) reads formats up to ${format}, the cluster's state is at ${level}: this version is too old for it`;
  return new ProtocolError("version_too_old", message, { level, format, version });
}

export function tooOldServer(level: number, version: string): ProtocolError {
  return tooOld(level, { who: "this server", version, format: FORMAT_LEVEL });
}

/** @throws ProtocolError `version_too_old` when the state in `store` has formats that this software cannot read. */
export async function refuseNewerState(store: Pick<Store, "get">, version: string): Promise<void> {
  const { entry } = await store.get(keys.format());
  if (entry === undefined) return;
  const { level } = JSON.parse(entry.value) as FormatRow;
  if (level > FORMAT_LEVEL) throw tooOldServer(level, version);
}
