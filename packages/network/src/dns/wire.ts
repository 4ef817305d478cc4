/**
 * DNS messages as bytes: reading a query, walking a response. Own code rather than a library, because
 * the only bytes that reach this from strangers are read here, with every length checked, and because the
 * hot path must not build objects for each label (docs/adr/0014-dns-own-server.md).
 *
 * Names become keys: lower case, labels joined by dots; a dot or backslash inside a label is escaped, so
 * that no odd packet can collide with a real name. Cost: O(bytes).
 */

/** RFC 1035: a name is at most 255 bytes on the wire. */
const NAME_BYTES_MAX = 255;
/** A name of 255 bytes has at most 127 labels; more pointers than that are a loop. */
const POINTERS_MAX = 127;
export const HEADER_BYTES = 12;
/** Without EDNS a UDP answer is at most this long (RFC 1035). */
export const UDP_BYTES_MIN = 512;
/** With EDNS at most this: fits an IPv6 packet on every path without fragments (DNS flag day 2020). */
export const UDP_BYTES_MAX = 1232;

export const TYPE = { A: 1, NS: 2, SOA: 6, PTR: 12, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const;
export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
  /** Extended code 16: an EDNS version that we do not speak. */
  badVersion: 16,
} as const;
export const CLASS_IN = 1;

export interface Edns {
  readonly version: number;
  /** Largest UDP answer that the asker takes, bytes. */
  readonly udpBytes: number;
  /** The asker wants DNSSEC records. */
  readonly dnssecOk: boolean;
}

export interface Query {
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly checkingDisabled: boolean;
  /** Key form of the name, without the last dot; the root is "". */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question as it came, with its case: answers repeat it byte for byte. */
  readonly question: Buffer;
  readonly edns?: Edns;
}

/** `drop`: not even an error answer (it could start a loop between two servers). */
export type ParsedQuery =
  | { readonly kind: "query"; readonly query: Query }
  | { readonly kind: "error"; readonly id: number; readonly opcode: number; readonly rcode: number }
  | { readonly kind: "drop" };

/** Reads a query. Total: any bytes give one of the three outcomes. */
export function parseQuery(message: Buffer): ParsedQuery {
  if (message.length < HEADER_BYTES) return { kind: "drop" };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  if ((flags & 0x8000) !== 0) return { kind: "drop" };
  const opcode = (flags >>> 11) & 15;
  const error = (rcode: number): ParsedQuery => ({ kind: "error", id, opcode, rcode });
  if (opcode !== 0) return error(RCODE.notImplemented);
  if (message.readUInt16BE(4) !== 1) return error(RCODE.formatError);
  const name = readName(message, HEADER_BYTES, false);
  if (name === undefined || name.end + 4 > message.length) return error(RCODE.formatError);
  const edns = readEdns(message, name.end + 4);
  if (edns === "malformed") return error(RCODE.formatError);
  const query = {
    id,
    recursionDesired: (flags & 0x0100) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    name: name.key,
    type: message.readUInt16BE(name.end),
    class: message.readUInt16BE(name.end + 2),
    question: message.subarray(HEADER_BYTES, name.end + 4),
    ...(edns === undefined ? {} : { edns }),
  };
  return { kind: "query", query };
}

/** Finds the OPT record among the rest of a query's records. */
function readEdns(message: Buffer, start: number): Edns | undefined | "malformed" {
  const count = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  let found: Edns | undefined;
  let offset = start;
  for (let index = 0; index < count; index++) {
    const entry = readRecord(message, offset);
    if (entry === undefined) return "malformed";
    if (entry.type === TYPE.OPT) {
      if (found !== undefined) return "malformed";
      const ttl = message.readUInt32BE(entry.ttlOffset);
      found = {
        version: (ttl >>> 16) & 255,
        udpBytes: entry.class,
        dnssecOk: (ttl & 0x8000) !== 0,
      };
    }
    offset = entry.end;
  }
  return found;
}

export interface NameRead {
  readonly key: string;
  /** Offset of the first byte after the name (after the pointer, where it ends in one). */
  readonly end: number;
}

/** Reads the name at `offset`; `undefined` when it is malformed, too long or (unless allowed) compressed. */
export function readName(
  message: Buffer,
  offset: number,
  pointersAllowed: boolean,
): NameRead | undefined {
  const labels: string[] = [];
  let sizeBytes = 1;
  let pointers = 0;
  let end: number | undefined;
  let at = offset;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if (length === 0) return { key: labels.join("."), end: end ?? at + 1 };
    if (length >= 0xc0) {
      const low = message[at + 1];
      if (!pointersAllowed || low === undefined || ++pointers > POINTERS_MAX) return undefined;
      end ??= at + 2;
      at = ((length & 0x3f) << 8) | low;
      continue;
    }
    sizeBytes += length + 1;
    if (length > 63 || sizeBytes > NAME_BYTES_MAX || at + 1 + length > message.length) {
      return undefined;
    }
    labels.push(labelKey(message.toString("latin1", at + 1, at + 1 + length)));
    at += length + 1;
  }
}

function labelKey(label: string): string {
  const lower = asciiLower(label);
  return /[.\\]/.test(lower) ? lower.replace(/[.\\]/g, "\\$&") : lower;
}

/** DNS folds ASCII letters only (RFC 4343); `toLowerCase` alone would fold Latin-1 as well. */
export function asciiLower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export interface RecordRead {
  readonly type: number;
  readonly class: number;
  readonly ttlOffset: number;
  readonly dataOffset: number;
  readonly end: number;
}

/** Reads the frame of the resource record at `offset`, not its data. */
export function readRecord(message: Buffer, offset: number): RecordRead | undefined {
  const name = readName(message, offset, true);
  if (name === undefined || name.end + 10 > message.length) return undefined;
  const end = name.end + 10 + message.readUInt16BE(name.end + 8);
  if (end > message.length) return undefined;
  return {
    type: message.readUInt16BE(name.end),
    class: message.readUInt16BE(name.end + 2),
    ttlOffset: name.end + 4,
    dataOffset: name.end + 10,
    end,
  };
}

/** Appends a name in wire form, uncompressed. `name` is one that the model's border has let through. */
export function encodeName(name: string): Buffer {
  const parts: Buffer[] = [];
  for (const label of name === "" ? [] : name.split(".")) {
    const bytes = Buffer.from(label, "latin1");
    parts.push(Buffer.of(bytes.length), bytes);
  }
  parts.push(Buffer.of(0));
  return Buffer.concat(parts);
}
