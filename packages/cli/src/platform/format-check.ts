/** How far the cluster's formats are, in words, and who holds them back: for status, doctor and lists. */

import type { FormatStanding } from "@berth/protocol";
import { clientOf } from "../connection/client.ts";
import { localContext, tokenOf } from "../connection/context.ts";
import { type Check, ok, warning } from "./finding.ts";

/** Holders that a line names. */
const HOLDERS_NAMED = 3;

/** `2`, or `1 of 2, held back by server two (0.1.0+abc reads 1)` */
export function formatWords({ level, newest, heldBackBy }: FormatStanding): string {
  if (level >= newest) return `${level}`;
  const named = heldBackBy.slice(0, HOLDERS_NAMED).map(({ member, version, format }) => {
    return `${member} (${version === "" ? "unknown version" : version} reads ${format})`;
  });
  const more = heldBackBy.length - named.length;
  const all = [...named, ...(more > 0 ? [`${more} more`] : [])].join(", ");
  return `${level} of ${newest}, ${all === "" ? "rises in a moment" : `held back by ${all}`}`;
}

/** Silent where the server is: its own check tells that. */
export const formats: Check = async ({ environment, settings }) => {
  const context = localContext(environment);
  if (tokenOf(context) === undefined && settings.joined === undefined) return [];
  const client = clientOf(context);
  try {
    const { formats: standing } = await client.call("listServers", { params: {} });
    if (standing === undefined) return [];
    const words = formatWords(standing);
    if (standing.heldBackBy.length === 0) return [ok("formats", `level ${words}`)];
    const advice =
      "upgrade them; those that are gone for good: berth server rm, berth node rm. Until then nothing newer is written";
    return [warning("formats", `level ${words}`, advice)];
  } catch {
    return [];
  } finally {
    client.close();
  }
};
