/**
 * keepalived's configuration from this node's parts in floating addresses. Pure.
 *
 * Nodes speak to one another directly (no multicast: clouds and bridges often drop it), five times a second, so that
 * an address is elsewhere within a second of the loss of its node. A node whose HAProxy does not answer has none. A
 * node that returns takes its addresses back after a while, so that one that comes and goes does not drag them along.
 *
 * Cost: O(addresses × nodes). Design page: docs/design/ingress.md.
 */

import type { FloatingModel } from "../ingress-model.ts";

/** Where HAProxy answers for keepalived; a path of ours that no route of a user's site has. */
export const MONITOR_PATH = "/.well-known/berth-ingress";

/** Between words to the others; three that are missing are a loss. */
const ADVERT_SECONDS = "0.2";
/** Until a better node takes an address back. */
const PREEMPT_DELAY_SECONDS = 5;
/** Looks at HAProxy: `net` itself mends a dead one within a tenth of a second, this finds one that hangs. */
const CHECK = { intervalSeconds: 1, timeoutSeconds: 1, fall: 2, rise: 2 } as const;

/** A part with the interface that it was found to be on. */
export interface PlacedFloating extends FloatingModel {
  readonly interface: string;
}

export interface VrrpSettings {
  /** The program that says whether HAProxy answers; without blanks and quotes. */
  readonly checkProgram: string;
}

/** The whole file; its lines are in order of addresses. */
export function vrrpConfig(floating: readonly PlacedFloating[], settings: VrrpSettings): string {
  const sorted = [...floating].sort((a, b) => (a.address < b.address ? -1 : 1));
  return [
    ...block("global_defs", [
      "vrrp_version 3",
      "script_user root",
      "enable_script_security",
      // Neighbours that missed the first word learn where the address is.
      "vrrp_garp_master_refresh 30",
    ]),
    ...block("vrrp_script haproxy", [
      `script "${settings.checkProgram}"`,
      `interval ${CHECK.intervalSeconds}`,
      `timeout ${CHECK.timeoutSeconds}`,
      `fall ${CHECK.fall}`,
      `rise ${CHECK.rise}`,
    ]),
    ...sorted.flatMap(instance),
    "",
  ].join("\n");
}

/** The program that keepalived runs: HAProxy answers on its HTTP port, or its exit code is 1. */
export function checkText(httpPort: number): string {
  return `#!/bin/bash
# Asks HAProxy on this host whether it answers; for keepalived.
exec 3<>/dev/tcp/127.0.0.1/${httpPort} || exit 1
printf 'GET ${MONITOR_PATH} HTTP/1.0\\r\\n\\r\\n' >&3
read -r -t 1 version status rest <&3
[ "$status" = 200 ]
`;
}

function instance(part: PlacedFloating): string[] {
  const name = `berth_${part.address.split("/", 1)[0]?.replaceAll(".", "_")}`;
  return block(`vrrp_instance ${name}`, [
    "state BACKUP",
    `interface ${part.interface}`,
    `virtual_router_id ${part.router}`,
    `priority ${part.priority}`,
    `advert_int ${ADVERT_SECONDS}`,
    `preempt_delay ${PREEMPT_DELAY_SECONDS}`,
    `unicast_src_ip ${part.source}`,
    ...inner("unicast_peer", [...part.peers].sort()),
    ...inner("virtual_ipaddress", [`${part.address} dev ${part.interface}`]),
    ...inner("track_script", ["haproxy"]),
  ]);
}

function block(head: string, lines: readonly string[]): string[] {
  return [`${head} {`, ...lines.map((line) => `  ${line}`), "}"];
}

/** An empty list of peers would mean multicast. */
function inner(head: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : block(head, lines);
}
