/**
 * What a node that joined shows: its certificate with its key and the cluster's authority, in one file, so that
 * they always belong together.
 */

import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { type Of, ProtocolError, parseAs } from "@berth/protocol";
import type { SecureOptions } from "@berth/protocol/client/http-transport";
import { Type } from "typebox";

export const NodeIdentity = Type.Object({
  cluster: Type.String(),
  node: Type.String(),
  authority: Type.String(),
  certificate: Type.String(),
  key: Type.String(),
  notBefore: Type.Number(),
  notAfter: Type.Number(),
});
export type NodeIdentity = Of<typeof NodeIdentity>;

/** @throws ProtocolError `unavailable` naming the file. */
export function readIdentity(file: string): NodeIdentity {
  try {
    return parseAs(NodeIdentity, JSON.parse(readFileSync(file, "utf8")), file);
  } catch (error) {
    const message = `${file} cannot be used: without it this node is a stranger to its cluster`;
    const advice = "join again: berth node join on the server";
    throw new ProtocolError("unavailable", message, { file, advice }, { cause: error });
  }
}

/** Whole or not at all, readable by its owner only. */
export function writeIdentity(file: string, identity: NodeIdentity): void {
  const fresh = `${file}.${randomBytes(4).toString("hex")}`;
  writeFileSync(fresh, `${JSON.stringify(identity, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(fresh, file);
}

export function secureOptions({ authority, certificate, key }: NodeIdentity): SecureOptions {
  return { authority, own: { certificate, key } };
}
