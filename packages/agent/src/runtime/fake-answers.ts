/** What a fake engine answers when something is not there, in use or refused; and bytes as a stream. */

import { ProtocolError } from "@berth/protocol";
import type { FakeContainer } from "./fake-container.ts";
import type { FakeVolume } from "./fake-host.ts";

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export function noSuch(what: string): ProtocolError {
  return new ProtocolError("not_found", `the engine has no ${what}`, { what });
}

export function engineError(message: string, words: string): ProtocolError {
  return new ProtocolError("engine_error", `${message}: ${words}`, { status: 400, words });
}

export function inUse(what: string, users: readonly FakeContainer[]): ProtocolError {
  return new ProtocolError("still_in_use", `${what} is in use`, {
    users: users.map((user) => user.request.name),
  });
}

/** What a fake volume has in it, as its archive. */
export function archiveOf({ seed, writers }: FakeVolume): Uint8Array {
  const text = seed === undefined ? undefined : Buffer.from(seed).toString("base64");
  return Buffer.from(JSON.stringify({ seed: text, writers }));
}

/** What an archive of `archiveOf` puts into a volume. */
export function contentOf(archive: string): Pick<FakeVolume, "seed" | "writers"> {
  const { seed, writers } = JSON.parse(archive) as { seed?: string; writers: number };
  return { writers, ...(seed === undefined ? {} : { seed: Buffer.from(seed, "base64") }) };
}
