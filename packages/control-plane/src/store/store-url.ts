/**
 * Where a cluster's state lies, as people write it: `embedded` for the file beside the server, or
 * `etcds://HOST:PORT,HOST:PORT/PREFIX` for an etcd; `etcd://` is without TLS and stays on this machine.
 */

import { ProtocolError } from "@berth/protocol";

/** What all keys of a cluster begin with in an etcd. */
export const ETCD_PREFIX_DEFAULT = "/berth/";

export type StorePlace =
  | { readonly kind: "embedded" }
  | { readonly kind: "etcd"; readonly endpoints: readonly string[]; readonly prefix: string };

const EXAMPLE = "etcds://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379";
/** More members than anybody runs: etcd itself advises seven at most. */
const MEMBERS_MAX = 20;
const PREFIX_PATTERN = /^\/[A-Za-z0-9._-]+\/$/;

/** @throws ProtocolError `invalid_request` that says what was expected. */
export function parseStoreUrl(text: string): StorePlace {
  if (text === "embedded") return { kind: "embedded" };
  const parts = /^(etcds?):\/\/([^/]+)(\/.*)?$/.exec(text);
  if (parts === null) throw refused(text, `expected embedded, or such as ${EXAMPLE}`);
  const [, scheme = "", members = "", path = ""] = parts;
  const isTls = scheme === "etcds";
  const endpoints = members.split(",").map((member) => endpointOf(text, member, isTls));
  if (endpoints.length > MEMBERS_MAX) throw refused(text, `at most ${MEMBERS_MAX} members`);
  const isDefault = path === "" || path === "/";
  const prefix = isDefault ? ETCD_PREFIX_DEFAULT : path.endsWith("/") ? path : `${path}/`;
  if (!PREFIX_PATTERN.test(prefix)) throw refused(text, "expected one name after the members");
  return { kind: "etcd", endpoints, prefix };
}

function endpointOf(text: string, member: string, isTls: boolean): string {
  const [, host = "", port = ""] =
    /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(member) ?? [];
  if (host === "" || Number(port) < 1 || Number(port) > 65_535) {
    throw refused(text, `"${member}" is no host:port`);
  }
  if (!isTls && !isLoopback(host)) {
    throw refused(
      text,
      `${host} is not this machine: use etcds:// (TLS), the state is the cluster`,
    );
  }
  return `${isTls ? "https" : "http"}://${host}:${port}`;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function refused(text: string, expected: string): ProtocolError {
  return new ProtocolError("invalid_request", `the store "${text}": ${expected}`, { store: text });
}
