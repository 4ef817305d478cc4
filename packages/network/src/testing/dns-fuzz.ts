/**
 * DNS packets that nobody sends by accident, and what must hold of every answer to them.
 *
 * Structure-aware: header, names, counts, types and EDNS are each made right or wrong on purpose, so that
 * packets get past the first check; now and then plain noise. Everything comes from one seed. An answer is
 * read by an unrelated library, and addresses are held against the oracle that reads the model anew.
 */

import assert from "node:assert/strict";
import type { Prng } from "@berth/base";
import packet from "dns-packet";
import { answer } from "../dns/answer.ts";
import { encodeAnswer, encodeError, failure } from "../dns/encode.ts";
import { refusalOf } from "../dns/refusals.ts";
import { type Asker, askerOf, buildTables, type DnsTables } from "../dns/tables.ts";
import { parseQuery } from "../dns/wire.ts";
import { formatIpv4 } from "../ipv4.ts";
import type { NodeNetworkModel } from "../model.ts";
import { oracleAddresses, oracleView } from "./dns-oracle.ts";
import { modelOf } from "./model-text.ts";

/** A model with its tables, and who may ask where. */
export interface FuzzSubject {
  readonly model: NodeNetworkModel;
  readonly tables: DnsTables;
}

const STACKS = ["s1", "s2"];
const LABELS = ["web", "db", "web-1", "api", "berth", "x".repeat(63), "a_b", "tasks"];
const NETWORKS = ["n1", "n2", "n3"];
const COPIES_MAX = 90;
const HOSTS_MAX = 240;

/** A random model: services on several networks, ready, draining and missing copies, own addresses. */
export function fuzzSubject(prng: Prng): FuzzSubject {
  // An address belongs to one task: the server's claims see to that.
  const hosts = Array.from({ length: HOSTS_MAX }, (_, index) => index + 2);
  const lines = NETWORKS.map((id, index) => `network ${id} s${(index % 2) + 1} 10.${index}.0.0/24`);
  for (const stack of STACKS) {
    for (const label of LABELS.filter(() => prng.chance(0.5))) {
      const networks = NETWORKS.filter(() => prng.chance(0.5));
      if (networks.length === 0) continue;
      const options = [
        prng.chance(0.3) ? `alias=${prng.pick(LABELS)}` : "",
        prng.chance(0.3) ? `vip=10.99.0.${prng.int(1, 250)}` : "",
        prng.chance(0.2) ? "dnsrr" : "",
        "ports=http:80/tcp",
      ];
      lines.push(`service ${stack}/${label} ${networks.join(" ")} ${options.join(" ")}`);
      lines.push(...copies(prng, `${stack}/${label}`, networks, hosts));
    }
  }
  const model = modelOf(lines.join("\n"));
  return { model, tables: buildTables(model) };
}

function copies(prng: Prng, name: string, networks: readonly string[], hosts: number[]): string[] {
  const wanted = prng.chance(0.1) ? prng.int(30, COPIES_MAX) : prng.int(0, 4);
  const count = Math.min(wanted, hosts.length);
  return Array.from({ length: count }, (_, index) => index + 1).flatMap((slot) => {
    const [host] = hosts.splice(prng.int(0, hosts.length - 1), 1);
    const state = prng.pick(["ready", "ready", "draining", "attached"]);
    return networks.flatMap((id) => {
      const address = `10.${NETWORKS.indexOf(id)}.0.${host}`;
      const attachment = `attachment ${name} ${slot} ${id} ${address}`;
      if (state === "attached") return [attachment];
      const draining = state === "draining" ? "draining" : "";
      return [attachment, `endpoint ${name} ${slot} ${id} ${address} ${draining}`];
    });
  });
}

/** One packet: made, answered, and judged. Throws an AssertionError with the packet in it. */
export function fuzzOnce(prng: Prng, subject: FuzzSubject): void {
  const message = prng.chance(0.1) ? noise(prng) : madePacket(prng, subject);
  const networkId = prng.pick(NETWORKS);
  const from = prng.chance(0.1) ? "192.0.2.9" : askerAddress(prng, subject, networkId);
  const transport = prng.chance(0.3) ? "tcp" : "udp";
  const network = subject.tables.networks.get(networkId);
  assert.ok(network !== undefined);
  const asker = askerOf(subject.tables, network, from);
  try {
    const reply = replyTo(subject.tables, asker, message, transport);
    judge(subject, { message, reply, networkId, from, transport });
  } catch (error) {
    const text = error instanceof Error ? error.stack : String(error);
    assert.fail(
      `packet ${message.toString("hex")} from ${from} on ${networkId} (${transport}): ${text}`,
    );
  }
}

/** As the server does; `forward` where it would ask others. */
function replyTo(
  tables: DnsTables,
  asker: Asker | undefined,
  message: Buffer,
  transport: "udp" | "tcp",
): Buffer | "drop" | "forward" {
  const parsed = parseQuery(message);
  if (parsed.kind === "drop") return "drop";
  if (parsed.kind === "error") return encodeError(parsed);
  const { query } = parsed;
  const options = { transport, recursion: true };
  const refusal = asker === undefined ? 5 : refusalOf(query, transport);
  if (asker === undefined || refusal !== undefined) {
    return encodeAnswer(query, failure(refusal ?? 5), options);
  }
  const outcome = answer(tables, asker, query, transport);
  return outcome.kind === "forward" ? "forward" : encodeAnswer(query, outcome.answer, options);
}

interface Exchange {
  readonly message: Buffer;
  readonly reply: Buffer | "drop" | "forward";
  readonly networkId: string;
  readonly from: string;
  readonly transport: "udp" | "tcp";
}

function judge(subject: FuzzSubject, exchange: Exchange): void {
  const { message, reply, transport } = exchange;
  const mayDrop = message.length < 12 || (message.readUInt16BE(2) & 0x8000) !== 0;
  assert.equal(reply === "drop", mayDrop, "a query gets an answer, a response none");
  if (reply === "drop" || reply === "forward") return;
  assert.equal(reply.readUInt16BE(0), message.readUInt16BE(0), "id");
  const echoed = 0x7910;
  assert.equal(reply.readUInt16BE(2) & echoed, message.readUInt16BE(2) & echoed, "opcode, RD, CD");
  assert.ok((reply.readUInt16BE(2) & 0x8000) !== 0, "QR");
  assert.ok(reply.length <= (transport === "tcp" ? 65_535 : 1_232), `${reply.length} bytes`);
  const questions = reply.readUInt16BE(4);
  if (questions === 0) {
    assert.equal(reply.length, 12);
    return;
  }
  const decoded = packet.decode(reply);
  const end = questionEnd(message);
  assert.ok(reply.subarray(12, end).equals(message.subarray(12, end)), "the question as it came");
  judgeAddresses(subject, exchange, decoded);
}

/** Past the name, type and class of a question that the subject itself has read. */
function questionEnd(message: Buffer): number {
  let at = 12;
  for (let length = message[at] ?? 0; length !== 0; length = message[at] ?? 0) at += length + 1;
  return at + 5;
}

function judgeAddresses(
  { model }: FuzzSubject,
  { networkId, from }: Exchange,
  decoded: packet.DecodedPacket,
): void {
  const given = [...(decoded.answers ?? []), ...(decoded.additionals ?? [])].flatMap((record) =>
    record.type === "A" ? [record.data] : [],
  );
  const view = oracleView(model, networkId, from);
  if (view === undefined) {
    assert.deepEqual(given, [], "nothing for strangers");
    return;
  }
  const good = new Set([
    ...model.endpoints.filter(({ state }) => state === "ready").map(({ address }) => address),
    ...model.services.flatMap(({ networks }) => networks.map((each) => each.virtualAddress)),
    formatIpv4(0x7f000001),
  ]);
  for (const address of given) assert.ok(good.has(address), `${address} is not ready`);
  const [question] = decoded.questions ?? [];
  const name = (question?.name ?? "").toLowerCase();
  const isPlain = /^[a-z0-9_.-]+$/.test(name) && !/^_|localhost$|arpa$/.test(name);
  const rcode = (decoded as unknown as { rcode: string }).rcode;
  const isRefused = !["NOERROR", "NXDOMAIN"].includes(rcode) || hasUpperCode(decoded);
  if (question?.type !== "A" || !isPlain || isRefused) return;
  const expected = oracleAddresses(model, view, name);
  if (expected === undefined) return;
  assert.equal(rcode, "NOERROR", "it exists");
  const isCut = (decoded as unknown as { flag_tc: boolean }).flag_tc;
  const found = new Set((decoded.answers ?? []).map((each) => ("data" in each ? each.data : "")));
  if (isCut) assert.ok([...found].every((address) => expected.includes(String(address))));
  else assert.deepEqual([...found].sort(), [...new Set(expected)].sort());
}

/** BADVERS has its code in EDNS, and nothing in the header. */
function hasUpperCode(decoded: packet.DecodedPacket): boolean {
  const opt = decoded.additionals?.find(({ type }) => type === "OPT");
  return ((opt as { extendedRcode?: number } | undefined)?.extendedRcode ?? 0) !== 0;
}

function askerAddress(prng: Prng, { model }: FuzzSubject, networkId: string): string {
  const here = model.attachments.filter((item) => item.networkId === networkId);
  const index = NETWORKS.indexOf(networkId);
  return here.length === 0 || prng.chance(0.2) ? `10.${index}.0.251` : prng.pick(here).address;
}

/** Bytes without any sense. */
export function noise(prng: Prng): Buffer {
  return Buffer.from(Array.from({ length: prng.int(0, 600) }, () => prng.int(0, 255)));
}

const TYPES = [1, 1, 1, 1, 28, 33, 12, 255, 6, 2, 0, 41, 251, 252, 253, 254, 250, 65_535];
const CLASSES = [1, 1, 1, 1, 1, 1, 1, 3, 254, 255, 0];

/** A packet about the names of `subject`, right or wrong on purpose. */
export function madePacket(prng: Prng, subject: FuzzSubject): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(prng.int(0, 65_535), 0);
  header.writeUInt16BE(prng.chance(0.8) ? 0x0100 : prng.int(0, 65_535), 2);
  const extra = prng.chance(0.5) ? optRecord(prng) : Buffer.alloc(0);
  const counts = [1, 0, 0, extra.length > 0 ? 1 : 0];
  for (const [index, count] of counts.entries()) {
    header.writeUInt16BE(prng.chance(0.97) ? count : prng.int(0, 65_535), 4 + 2 * index);
  }
  const frame = Buffer.alloc(4);
  frame.writeUInt16BE(prng.pick(TYPES), 0);
  frame.writeUInt16BE(prng.pick(CLASSES), 2);
  const tail = prng.chance(0.1) ? noise(prng).subarray(0, 40) : Buffer.alloc(0);
  const whole = Buffer.concat([header, nameBytes(prng, subject), frame, extra, tail]);
  for (let edits = prng.chance(0.15) ? prng.int(1, 4) : 0; edits > 0; edits--) {
    whole[prng.int(0, whole.length - 1)] = prng.int(0, 255);
  }
  return prng.chance(0.05) ? whole.subarray(0, prng.int(0, whole.length)) : whole;
}

function nameBytes(prng: Prng, { model }: FuzzSubject): Buffer {
  const service = model.services.length === 0 ? "web" : prng.pick(model.services).service;
  const copy = `${service}-${prng.int(0, 12)}`;
  const label = prng.pick([
    service,
    service,
    `tasks.${service}`,
    copy,
    `_http._tcp.${service}`,
    "no",
  ]);
  const ending = prng.pick(["", "", ".s1.main.default.berth", ".s2.main.default.berth", ".berth"]);
  const names = [
    `${label}${ending}`,
    `${label}${ending}`,
    `${prng.int(0, 255)}.0.${prng.int(0, 3)}.10.in-addr.arpa`,
    Array.from({ length: 32 }, () => "0123456789abcdef"[prng.int(0, 15)])
      .join(".")
      .concat(".ip6.arpa"),
    Array.from({ length: prng.int(1, 127) }, () => "a").join("."),
    "x".repeat(prng.int(1, 70)),
    "example.com",
    "localhost",
  ];
  const parts: Buffer[] = [];
  for (const text of prng.pick(names).split(".")) {
    const cased = [...text].map((each) => (prng.chance(0.3) ? each.toUpperCase() : each)).join("");
    parts.push(Buffer.of(cased.length & 255), Buffer.from(cased, "latin1"));
  }
  const pointer = Buffer.of(0xc0 | prng.int(0, 63), prng.int(0, 255));
  return Buffer.concat([...parts, prng.chance(0.04) ? pointer : Buffer.of(0)]);
}

function optRecord(prng: Prng): Buffer {
  const data = prng.chance(0.3) ? noise(prng).subarray(0, 24) : Buffer.of(0, 10, 0, 2, 1, 2);
  const record = Buffer.alloc(11);
  if (prng.chance(0.05)) record[0] = 1;
  record.writeUInt16BE(41, 1);
  record.writeUInt16BE(prng.pick([0, 512, 1_232, 4_096, 65_535]), 3);
  record.writeUInt32BE(prng.chance(0.8) ? 0x8000 * prng.int(0, 1) : prng.int(0, 0xffffff), 5);
  record.writeUInt16BE(prng.chance(0.95) ? data.length : prng.int(0, 65_535), 9);
  return Buffer.concat([record, data]);
}
