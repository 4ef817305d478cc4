/** Small shapes that the parts of the model's border share: names, addresses, ports. */

import { parseIpv4 } from "./ipv4.ts";
import { integer, text, textWhere } from "./shape.ts";

/** Projects, environments and stacks are one DNS label each, so that full names can be taken apart. */
export const LABEL = text(/^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/, "a name without dots");
export const NAME = text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "a name");
export const ID = text(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, "an identifier");

const LABEL_PATTERN = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const DNS_NAME = new RegExp(`^${LABEL_PATTERN}(\\.${LABEL_PATTERN})*$`);

/** Whether it has the form of a DNS name. */
export function isDnsName(name: string): boolean {
  return name.length <= 253 && DNS_NAME.test(name);
}

export const HOST_NAME = textWhere(isDnsName, "a host name");
export const ADDRESS = textWhere((value) => parseIpv4(value) !== undefined, "an IPv4 address");
export const PORT = integer(1, 65_535);

export const STACK = { project: LABEL, environment: LABEL, stack: LABEL } as const;
export const SERVICE = { ...STACK, service: NAME } as const;

/** Lists inside one item: hosts of a route, ranges of a list, aliases. */
export const SMALL_LIST_MAX = 256;
