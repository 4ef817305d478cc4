/**
 * Networks: at the top of a file, and as attachments of a service.
 */

import type { Codec } from "../codec/codec.ts";
import {
  driverOptions,
  list,
  optionTable,
  orNothing,
  tableOf,
  textTable,
  uniqueTexts,
} from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import { bool, integer, text } from "../codec/scalar-codecs.ts";
import type { ComposeNetwork, Ipam, IpamPool, NetworkAttachment } from "../model/network-model.ts";
import { valuesList } from "../tree/key-values.ts";
import { external } from "./external.ts";

const attachment = record<Omit<NetworkAttachment, "nameOnly">>({
  priority: field("priority", integer({ unquoted: true })),
  gatewayPriority: field("gw_priority", integer(), { hidden: true }),
  aliases: field("aliases", uniqueTexts),
  interfaceName: field("interface_name", text),
  ipv4Address: field("ipv4_address", text),
  ipv6Address: field("ipv6_address", text),
  linkLocalIps: field("link_local_ips", uniqueTexts),
  macAddress: field("mac_address", text),
  driverOpts: field("driver_opts", driverOptions),
});

const maybeAttachment: Codec<NetworkAttachment> = {
  ...orNothing<NetworkAttachment>(attachment, { nameOnly: true }),
  print: (value, format) => (value.nameOnly === true ? null : attachment.print(value, format)),
};

/** `networks` of a service. */
export const attachments = tableOf(maybeAttachment, { list: true });

const pool = record<IpamPool>({
  subnet: field("subnet", text),
  gateway: field("gateway", text),
  ipRange: field("ip_range", text),
  auxAddresses: field("aux_addresses", optionTable(["string"])),
});

const pools: Codec<readonly IpamPool[]> = {
  ...list(pool),
  read: (tree, path, reading) => list(pool).read(valuesList(tree), path, reading),
};

const ipam = record<Ipam>({
  driver: field("driver", text),
  config: field("config", pools),
  options: field("options", optionTable(["string"]), { hidden: true }),
});

/** A network of the stack. */
export const network: Codec<ComposeNetwork> = external(
  record<ComposeNetwork>({
    name: field("name", text),
    driver: field("driver", text),
    driverOpts: field("driver_opts", driverOptions),
    ipam: field("ipam", ipam, { jsonAbsent: new Map() }),
    external: field("external", bool),
    internal: field("internal", bool),
    attachable: field("attachable", bool),
    labels: field("labels", textTable),
    enableIpv4: field("enable_ipv4", bool, { keepZero: true }),
    enableIpv6: field("enable_ipv6", bool, { keepZero: true }),
  }),
);
