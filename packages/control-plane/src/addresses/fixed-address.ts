/** The address that the file gives a copy: by slot, so that it survives replacement and goes where the copy goes. */

import type { ServiceSpec } from "@berth/protocol";

type NetworkUse = ServiceSpec["networks"][string];

/** `undefined` when any address will do. A slot beyond the list is refused when the release is made. */
export function fixedAddress(
  { addresses, ipv4Address }: Pick<NetworkUse, "addresses" | "ipv4Address">,
  slot: number,
): string | undefined {
  return addresses === undefined ? ipv4Address : addresses[slot - 1];
}
