/**
 * Networks: at the top of a file, and as attachments of a service.
 */

import { type Codec, refuse } from "../codec/codec.ts";
import {
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

const attachment = record<NetworkAttachment>({
  priority: field("priority", integer()),
  gatewayPriority: field("gw_priority", integer(), { hidden: true }),
  aliases: field("aliases", uniqueTexts),
  interfaceName: field("interface_name", text),
  ipv4Address: field("ipv4_address", text),
  ipv6Address: field("ipv6_address", text),
  linkLocalIps: field("link_local_ips", uniqueTexts),
  macAddress: field("mac_address", text),
  driverOpts: field("driver_opts", optionTable),
});

/** An attachment without wishes prints as nothing. */
const maybeAttachment: Codec<NetworkAttachment> = {
  ...orNothing(attachment, {}),
  print: (value, format) =>
    Object.keys(value).length === 0 ? null : attachment.print(value, format),
};

/** `networks` of a service. */
export const attachments = tableOf(maybeAttachment, { list: true });

const SUBNET = /^[0-9a-fA-F:.]+\/\d{1,3}$/;

const subnet: Codec<string> = {
  ...text,
  read(tree, path, reading) {
    const written = text.read(tree, path, reading);
    if (written === undefined || SUBNET.test(written) || reading.lenient) return written;
    return refuse(reading, tree, path, {
      found: `is ${JSON.stringify(written)}`,
      expected: "a range such as 10.5.0.0/16",
    });
  },
};

const pool = record<IpamPool>({
  subnet: field("subnet", subnet),
  gateway: field("gateway", text),
  ipRange: field("ip_range", text),
  auxAddresses: field("aux_addresses", textTable),
});

const pools: Codec<readonly IpamPool[]> = {
  ...list(pool),
  read: (tree, path, reading) => list(pool).read(valuesList(tree), path, reading),
};

const ipam = record<Ipam>({
  driver: field("driver", text),
  config: field("config", pools),
  options: field("options", optionTable, { hidden: true }),
});

/** A network of the stack. */
export const network: Codec<ComposeNetwork> = external(
  record<ComposeNetwork>({
    name: field("name", text),
    driver: field("driver", text),
    driverOpts: field("driver_opts", optionTable),
    ipam: field("ipam", ipam, { jsonAbsent: new Map() }),
    external: field("external", bool),
    internal: field("internal", bool),
    attachable: field("attachable", bool),
    labels: field("labels", textTable),
    enableIpv4: field("enable_ipv4", bool, { keepZero: true }),
    enableIpv6: field("enable_ipv6", bool, { keepZero: true }),
  }),
);
