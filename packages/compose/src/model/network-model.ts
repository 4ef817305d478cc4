/**
 * Networks in the model: what a stack declares, and how a service attaches.
 */

import type { Extensions } from "../codec/extension.ts";

/** A network of the stack. */
export interface ComposeNetwork {
  /** The name outside the stack: written, or `<project>_<key>`, or the key when external. */
  readonly name?: string;
  readonly driver?: string;
  readonly driverOpts?: Readonly<Record<string, string>>;
  readonly ipam?: Ipam;
  /** Made by somebody else: the stack only attaches. */
  readonly external?: boolean;
  /** No way out of the network. */
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly enableIpv4?: boolean;
  readonly enableIpv6?: boolean;
  readonly extensions?: Extensions;
}

/** Address management of a network. */
export interface Ipam {
  readonly driver?: string;
  readonly config?: readonly IpamPool[];
  readonly options?: Readonly<Record<string, string>>;
  readonly extensions?: Extensions;
}

/** One range of addresses. */
export interface IpamPool {
  /** CIDR. */
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly auxAddresses?: Readonly<Record<string, string>>;
  readonly extensions?: Extensions;
}

/** How a service attaches to one network. */
export interface NetworkAttachment {
  /** Networks of higher priority are attached first. */
  readonly priority?: number;
  readonly gatewayPriority?: number;
  readonly aliases?: readonly string[];
  readonly interfaceName?: string;
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
  readonly linkLocalIps?: readonly string[];
  readonly macAddress?: string;
  readonly driverOpts?: Readonly<Record<string, string>>;
  /** Only the network's name is written: it prints as nothing, while an empty mapping prints as one. */
  readonly nameOnly?: true;
  readonly extensions?: Extensions;
}
