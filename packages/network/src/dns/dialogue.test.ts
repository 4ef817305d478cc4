/** Names as a conversation: testdata/*.txt reads as documentation of what is answered to whom. */

import assert from "node:assert/strict";
import packet, { type Answer, type DecodedPacket } from "dns-packet";
import { dialogueTests } from "../testing/dialogue.ts";
import { modelOf } from "../testing/model-text.ts";
import { answer } from "./answer.ts";
import { encodeAnswer, failure } from "./encode.ts";
import { refusalOf } from "./refusals.ts";
import { askerOf, buildTables, type DnsTables } from "./tables.ts";
import { parseQuery, RCODE } from "./wire.ts";

const RCODE_NAMES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

dialogueTests(new URL("testdata", import.meta.url), () => {
  let tables: DnsTables | undefined;
  return (command, body) => {
    const [verb = "", from = "", networkId = "", name = "", type = "A", ...options] = command;
    if (verb === "model") {
      tables = buildTables(modelOf(body));
      return "ok";
    }
    assert.equal(verb, "ask");
    assert.ok(tables !== undefined);
    return ask(tables, { from, networkId, name, type, options });
  };
});

interface Ask {
  readonly from: string;
  readonly networkId: string;
  readonly name: string;
  readonly type: string;
  /** `edns=4096`, `do`, `version=1`, `class=CH`, `tcp`, `id=7`; without `edns` the packet is 512 bytes. */
  readonly options: readonly string[];
}

function ask(tables: DnsTables, asked: Ask): string {
  const network = tables.networks.get(asked.networkId);
  const parsed = parseQuery(queryBytes(asked));
  if (parsed.kind !== "query") return parsed.kind;
  const transport = asked.options.includes("tcp") ? "tcp" : "udp";
  const asker = network === undefined ? tables.host : askerOf(tables, network, asked.from);
  const options = { transport, recursion: true } as const;
  if (asker === undefined) return show(encodeAnswer(parsed.query, failure(RCODE.refused), options));
  const refusal = refusalOf(parsed.query, transport);
  if (refusal !== undefined) return show(encodeAnswer(parsed.query, failure(refusal), options));
  const outcome = answer(tables, asker, parsed.query, transport);
  if (outcome.kind === "forward") return "forward";
  return show(encodeAnswer(parsed.query, outcome.answer, options));
}

function wordOf(asked: Ask, name: string): string | undefined {
  return asked.options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
}

function option(asked: Ask, name: string): number | undefined {
  const found = wordOf(asked, name);
  return found === undefined ? undefined : Number(found);
}

function queryBytes(asked: Ask): Buffer {
  const edns = option(asked, "edns");
  const opt = {
    type: "OPT",
    name: ".",
    udpPayloadSize: edns,
    ednsVersion: option(asked, "version") ?? 0,
    flags: asked.options.includes("do") ? packet.DNSSEC_OK : 0,
  };
  const dnsClass = (wordOf(asked, "class") ?? "IN") as "IN";
  return packet.encode({
    type: "query",
    id: option(asked, "id") ?? 0,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name: asked.name, type: asked.type as "A", class: dnsClass }],
    ...(edns === undefined ? {} : { additionals: [opt as unknown as Answer] }),
  });
}

/** The code of the header, with the upper bits that EDNS has for it. */
function codeOf(message: Buffer, decoded: DecodedPacket): string {
  const opt = decoded.additionals?.find((record) => record.type === "OPT");
  const upper = (opt as { extendedRcode?: number } | undefined)?.extendedRcode ?? 0;
  const code = (upper << 4) | (message.readUInt16BE(2) & 15);
  return RCODE_NAMES[code] ?? (code === RCODE.badVersion ? "BADVERS" : String(code));
}

/** Read by a library that has nothing in common with the encoder. */
function show(message: Buffer): string {
  const decoded = packet.decode(message) as DecodedPacket & { flag_aa: boolean; flag_tc: boolean };
  const flags = [decoded.flag_aa ? "aa" : "", decoded.flag_tc ? "tc" : ""].filter(Boolean);
  const head = [codeOf(message, decoded), ...flags, `${message.length} bytes`];
  const sections = [
    ["", decoded.answers],
    ["authority ", decoded.authorities],
    ["additional ", decoded.additionals],
  ] as const;
  const lines = sections.flatMap(([label, records]) =>
    (records ?? []).map((record) => `${label}${showRecord(record)}`),
  );
  return [head.join(" "), ...lines].join("\n");
}

function showRecord(record: Answer): string {
  const name = record.name === "" ? "." : record.name;
  if (record.type === "OPT") {
    const { ednsVersion, flag_do: dnssecOk } = record as unknown as {
      ednsVersion: number;
      flag_do: boolean;
    };
    return `OPT version ${ednsVersion}${dnssecOk ? " do" : ""}`;
  }
  if (record.type === "SOA") return `${name} ${record.ttl} SOA minimum ${record.data.minimum}`;
  if (record.type === "SRV") {
    return `${name} ${record.ttl} SRV ${record.data.port} ${record.data.target}`;
  }
  const ttl = "ttl" in record ? record.ttl : "";
  return `${name} ${ttl} ${record.type} ${String("data" in record ? record.data : "")}`;
}
