/**
 * The file-system port on the machine's own files. The only module of the package that touches the disk.
 *
 * Errors other than "missing" (no permission, an I/O error) read as missing: the loader's message names the path,
 * and the user sees the same with `ls`.
 */

import { isUtf8 } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import type { ComposeFiles } from "./files.ts";
import { FILE_BYTES_MAX } from "./limits.ts";

/** The machine's file system, read-only. */
export const nodeFiles: ComposeFiles = {
  readText(path) {
    try {
      const stat = statSync(path);
      if (!stat.isFile()) return undefined;
      // One byte over the limit is enough for the loader to refuse it; the rest is not worth reading.
      if (stat.size > FILE_BYTES_MAX) return " ".repeat(FILE_BYTES_MAX + 1);
      return decoded(readFileSync(path));
    } catch {
      return undefined;
    }
  },
  stat(path) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (stat.isDirectory()) return "directory";
    return stat.isFile() ? "file" : undefined;
  },
};

/** Half of a surrogate pair: stands where bytes are no text. */
const NO_TEXT = "\uD800";
const REPLACEMENT = "\uFFFD";

function decoded(bytes: Buffer): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  const text = bytes.toString("utf8");
  return isUtf8(bytes) ? text : marked(text, bytes);
}

/** `text` with a mark at the first place where `bytes` are no UTF-8. */
function marked(text: string, bytes: Buffer): string {
  let offset = 0;
  for (
    let at = text.indexOf(REPLACEMENT), from = 0;
    at >= 0;
    at = text.indexOf(REPLACEMENT, from)
  ) {
    offset += Buffer.byteLength(text.slice(from, at));
    const isWritten = bytes.subarray(offset, offset + 3).toString("hex") === "efbfbd";
    if (!isWritten) return `${text.slice(0, at)}${NO_TEXT}${text.slice(at + 1)}`;
    offset += 3;
    from = at + 1;
  }
  return text;
}
