/** From a context to a client of its server. */

import { readFileSync } from "node:fs";
import { ProtocolError } from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import type { SecureOptions } from "@berth/protocol/client/http-transport";
import { readIdentity, secureOptions } from "../joining/identity-file.ts";
import { type Context, tokenOf } from "./context.ts";

export function clientOf(context: Context): HttpClient {
  const { url } = context;
  const token = tokenOf(context);
  const secure = secureOf(context);
  return new HttpClient({
    url,
    ...(token === undefined ? {} : { token }),
    ...(secure === undefined ? {} : { secure }),
  });
}

function secureOf({ identityFile, authority }: Context): (() => SecureOptions) | undefined {
  if (identityFile !== undefined) return () => secureOptions(readIdentity(identityFile));
  if (authority !== undefined) return () => ({ authority: readAuthority(authority) });
  return undefined;
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const message = `${file}, the authority of the context's cluster, cannot be read`;
    throw new ProtocolError("invalid_request", message, { file }, { cause: error });
  }
}
