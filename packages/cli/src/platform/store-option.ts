/** The options that say where a cluster's state lies, for the commands that take them. */

import { resolve } from "node:path";
import { parseStoreUrl } from "@berth/control-plane/store/store-url";
import { type CommandInput, textOption } from "../command.ts";
import type { StoreSettings } from "./settings.ts";

export const STORE_FILE_OPTIONS = [
  { flags: "--store-ca <file>", summary: "PEM of the authority of etcd's certificates" },
  { flags: "--store-cert <file>", summary: "PEM of this server's certificate for etcd" },
  { flags: "--store-key <file>", summary: "PEM of that certificate's key" },
  { flags: "--store-login <file>", summary: "file with USER:PASSWORD for etcd" },
] as const;

const FIELDS = [
  ["storeCa", "caFile"],
  ["storeCert", "certFile"],
  ["storeKey", "keyFile"],
  ["storeLogin", "loginFile"],
] as const;

/**
 * What the options in `input` make of `before`; `undefined` when none was given. What is given replaces what
 * was set; another place (`urlOption`) forgets the old one's files.
 *
 * @throws ProtocolError `invalid_request` for an address that is none.
 */
export function storeOption(
  input: CommandInput,
  urlOption: string,
  before: StoreSettings | undefined,
): StoreSettings | undefined {
  const url = textOption(input, urlOption);
  if (url !== undefined) parseStoreUrl(url);
  const files: { -readonly [Key in keyof StoreSettings]?: StoreSettings[Key] } = {};
  for (const [option, field] of FIELDS) {
    const file = textOption(input, option);
    if (file !== undefined) files[field] = resolve(file);
  }
  if (url === undefined && Object.keys(files).length === 0) return undefined;
  const kept = url === undefined || url === before?.url ? before : undefined;
  return { ...kept, ...files, url: url ?? before?.url ?? "embedded" };
}
