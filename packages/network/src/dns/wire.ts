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
const LABEL_BYTES_MAX = 63;
/** A name of 255 bytes has at most 127 labels; more pointers than that are a loop. */
const POINTERS_MAX = 127;
export const HEADER_BYTES = 12;
/** Without EDNS a UDP answer is at most this long (RFC 1035). */
export const UDP_BYTES_MIN = 512;
/** With EDNS at most this: fits an IPv6 packet on every path without fragments (DNS flag day 2020). */
export const UDP_BYTES_MAX = 1232;

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
} as const;
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

/** What can be said about a message whose question is not to be answered. */
export interface MessageError {
  readonly kind: "error";
  readonly id: number;
  /** Opcode, RD and CD as they came, in their places: the answer repeats them. */
  readonly flags: number;
  readonly rcode: number;
  /** The question, where it could be read. */
  readonly question?: Buffer;
}

/** `drop`: not even an error answer (it could start a loop between two servers). */
export type ParsedQuery =
  | { readonly kind: "query"; readonly query: Query }
  | MessageError
  | { readonly kind: "drop" };

const OPCODE_MASK = 0x7800;
const FLAG_RESPONSE = 0x8000;
const FLAG_RECURSION_DESIRED = 0x0100;
const FLAG_CHECKING_DISABLED = 0x0010;

/** Reads a query. Total: any bytes give one of the three outcomes. Bytes after the last record are none. */
export function parseQuery(message: Buffer): ParsedQuery {
  if (message.length < HEADER_BYTES) return { kind: "drop" };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  if ((flags & FLAG_RESPONSE) !== 0) return { kind: "drop" };
  const repeated = flags & (OPCODE_MASK | FLAG_RECURSION_DESIRED | FLAG_CHECKING_DISABLED);
  const error = (rcode: number, question?: Buffer): MessageError => ({
    kind: "error",
    id,
    flags: repeated,
    rcode,
    ...(question === undefined ? {} : { question }),
  });
  if ((flags & OPCODE_MASK) !== 0) return error(RCODE.notImplemented);
  if (message.readUInt16BE(4) !== 1) return error(RCODE.formatError);
  const name = readName(message, HEADER_BYTES, false);
  if (name === undefined || name.end + 4 > message.length) return error(RCODE.formatError);
  const question = message.subarray(HEADER_BYTES, name.end + 4);
  const edns = readEdns(message, name.end + 4);
  if (edns === "malformed") return error(RCODE.formatError, question);
  const query = {
    id,
    recursionDesired: (flags & FLAG_RECURSION_DESIRED) !== 0,
    checkingDisabled: (flags & FLAG_CHECKING_DISABLED) !== 0,
    name: name.key,
    type: message.readUInt16BE(name.end),
    class: message.readUInt16BE(name.end + 2),
    question,
    ...(edns === undefined ? {} : { edns }),
  };
  return { kind: "query", query };
}

/** Finds the OPT record among the rest of a query's records: one, additional, of the root (RFC 6891). */
function readEdns(message: Buffer, start: number): Edns | undefined | "malformed" {
  const before = message.readUInt16BE(6) + message.readUInt16BE(8);
  const count = before + message.readUInt16BE(10);
  let found: Edns | undefined;
  let offset = start;
  for (let index = 0; index < count; index++) {
    const entry = readRecord(message, offset);
    if (entry === undefined) return "malformed";
    if (entry.type === TYPE.OPT) {
      const isRoot = message[offset] === 0;
      if (found !== undefined || index < before || !isRoot || !areOptions(message, entry)) {
        return "malformed";
      }
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

/** Options (code, length, data) fill the record exactly; which ones they are is no matter to us. */
function areOptions(message: Buffer, { dataOffset, end }: RecordRead): boolean {
  let at = dataOffset;
  while (at + OPTION_FRAME_BYTES <= end) at += OPTION_FRAME_BYTES + message.readUInt16BE(at + 2);
  return at === end;
}

const OPTION_FRAME_BYTES = 4;

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
    if (
      length > LABEL_BYTES_MAX ||
      sizeBytes > NAME_BYTES_MAX ||
      at + 1 + length > message.length
    ) {
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

/** Whether `name` can be written: labels of 1 to 63 bytes, 255 in all with their lengths. */
export function isWireName(name: string): boolean {
  const labels = name.split(".");
  return (
    name.length + 2 <= NAME_BYTES_MAX &&
    labels.every((label) => label.length > 0 && label.length <= LABEL_BYTES_MAX)
  );
}

/** Appends a name in wire form, uncompressed. `name` is one of `isWireName`, or the root. */
export function encodeName(name: string): Buffer {
  const parts: Buffer[] = [];
  for (const label of name === "" ? [] : name.split(".")) {
    const bytes = Buffer.from(label, "latin1");
    parts.push(Buffer.of(bytes.length), bytes);
  }
  parts.push(Buffer.of(0));
  return Buffer.concat(parts);
}
