/** Names as a conversation: testdata/*.txt reads as documentation of what is answered to whom. */

import assert from "node:assert/strict";
import packet, { type Answer, type DecodedPacket } from "dns-packet";
import { parseIpv4 } from "../ipv4.ts";
import { dialogueTests } from "../testing/dialogue.ts";
import { modelOf } from "../testing/model-text.ts";
import { answer } from "./answer.ts";
import { encodeAnswer, failure } from "./encode.ts";
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
  /** `udp=512` (no EDNS), `edns=4096`, `tcp`, `id=7`. */
  readonly options: readonly string[];
}

function ask(tables: DnsTables, asked: Ask): string {
  const network = tables.networks.get(asked.networkId);
  const parsed = parseQuery(queryBytes(asked));
  if (network === undefined || parsed.kind !== "query") return parsed.kind;
  const transport = asked.options.includes("tcp") ? "tcp" : "udp";
  const asker = askerOf(tables, network, parseIpv4(asked.from) ?? 0);
  const options = { transport, recursion: true } as const;
  if (asker === undefined) return show(encodeAnswer(parsed.query, failure(RCODE.refused), options));
  const outcome = answer(tables, asker, parsed.query);
  if (outcome.kind === "forward") return "forward";
  return show(encodeAnswer(parsed.query, outcome.answer, options));
}

function option(asked: Ask, name: string): number | undefined {
  const found = asked.options.find((text) => text.startsWith(`${name}=`));
  return found === undefined ? undefined : Number(found.slice(name.length + 1));
}

function queryBytes(asked: Ask): Buffer {
  const edns = option(asked, "edns");
  return packet.encode({
    type: "query",
    id: option(asked, "id") ?? 0,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name: asked.name, type: asked.type as "A" }],
    ...(edns === undefined
      ? {}
      : {
          additionals: [
            { type: "OPT", name: ".", udpPayloadSize: edns, flags: 0 } as unknown as Answer,
          ],
        }),
  });
}

/** Read by a library that has nothing in common with the encoder. */
function show(message: Buffer): string {
  const decoded = packet.decode(message) as DecodedPacket & { flag_aa: boolean; flag_tc: boolean };
  const flags = [decoded.flag_aa ? "aa" : "", decoded.flag_tc ? "tc" : ""].filter(Boolean);
  const head = [RCODE_NAMES[message.readUInt16BE(2) & 15], ...flags, `${message.length} bytes`];
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
  if (record.type === "OPT") return "OPT";
  if (record.type === "SOA") return `${name} ${record.ttl} SOA minimum ${record.data.minimum}`;
  if (record.type === "SRV") {
    return `${name} ${record.ttl} SRV ${record.data.port} ${record.data.target}`;
  }
  const ttl = "ttl" in record ? record.ttl : "";
  return `${name} ${ttl} ${record.type} ${String("data" in record ? record.data : "")}`;
}
