/**
 * Remote files of `include` and `extends`, fetched before the load for the addresses that the caller allows. A load tells
 * which ones it wants, they are fetched, and so on until one wants no more.
 */

import { type LoadOptions, loadCompose } from "@berth/compose";
import { ProtocolError } from "@berth/protocol";

/** Files that one stack may fetch: more are a mistake. */
const REMOTE_FILES_MAX = 50;
/** Of one file: stack files are texts of people. */
const REMOTE_BYTES_MAX = 1024 * 1024;
const FETCH_TIMEOUT_MS = 15_000;

/** `options` with the texts of all remote files whose addresses begin with one of `prefixes`. */
export async function withRemoteFiles(
  options: LoadOptions,
  prefixes: readonly string[],
  signal: AbortSignal,
): Promise<LoadOptions> {
  const unsafe = prefixes.find((prefix) => !/^https:\/\/[^/]+\//.test(prefix));
  if (unsafe !== undefined) {
    const message = `--allow-remote ${unsafe}: expected https://, a host and a path, as https://example.com/stacks/`;
    throw new ProtocolError("invalid_request", message);
  }
  const texts = new Map<string, string>();
  const isAllowed = (url: string) => prefixes.some((prefix) => url.startsWith(prefix));
  while (true) {
    const wanted = new Set<string>();
    const remote = (url: string): string | undefined => {
      if (!isAllowed(url)) return undefined;
      if (!texts.has(url)) wanted.add(url);
      return texts.get(url) ?? "{}";
    };
    loadCompose({ ...options, remote });
    if (wanted.size === 0) return { ...options, remote };
    if (texts.size + wanted.size > REMOTE_FILES_MAX) {
      throw new ProtocolError(
        "limit_exceeded",
        `the stack names more than ${REMOTE_FILES_MAX} remote files`,
      );
    }
    for (const url of wanted) texts.set(url, await textOf(url, signal));
  }
}

async function textOf(url: string, signal: AbortSignal): Promise<string> {
  const ending = AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]);
  const answer = await fetch(url, { signal: ending, redirect: "error" }).catch((error: unknown) => {
    throw new ProtocolError("unavailable", `${url} cannot be fetched`, { url }, { cause: error });
  });
  if (!answer.ok) {
    throw new ProtocolError("unavailable", `${url} answers ${answer.status}`, { url });
  }
  const text = await answer.text();
  if (text.length <= REMOTE_BYTES_MAX) return text;
  throw new ProtocolError("limit_exceeded", `${url} has more than ${REMOTE_BYTES_MAX} bytes`, {
    url,
  });
}
