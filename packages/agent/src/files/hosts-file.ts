/**
 * `/etc/hosts` of a container in networks of ours: itself and the loopback, as engines write it.
 *
 * The agent brings it because an engine writes one only for containers that it connects itself; so it is the
 * same whoever connects them. Names of others are DNS's. Pure.
 */

export interface HostsInput {
  /** The container's host name, with its domain where it has one. */
  readonly names: readonly string[];
  /** Its addresses, the first network's first. */
  readonly addresses: readonly string[];
}

/** What engines write, and some programs rely on. */
const LOOPBACK = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::0\tip6-localnet",
  "ff00::0\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/** Text of the file. Example: `hostsFile({ names: ["web-1"], addresses: ["10.64.0.2"] })`. */
export function hostsFile({ names, addresses }: HostsInput): string {
  const own = names.length === 0 ? [] : addresses.map((each) => `${each}\t${names.join(" ")}`);
  return [...LOOPBACK, ...own, ""].join("\n");
}
