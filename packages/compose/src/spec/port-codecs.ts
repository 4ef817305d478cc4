/**
 * `ports` and `expose` of a service.
 */

import { type Codec, refuse } from "../codec/codec.ts";
import { list, uniqueBy } from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import { integer, isUnexpanded, text, textOrInteger } from "../codec/scalar-codecs.ts";
import type { ServicePort } from "../model/service-model.ts";
import { kindName } from "../tree/tree.ts";
import { parsePortSpec } from "./port-spec.ts";

const PORT_MAX = 65_535;
const PORT_EXPECTED = "[[ADDRESS:]HOST:]CONTAINER[/tcp|udp], numbers or ranges";

const longPort = record<ServicePort>({
  name: field("name", text),
  mode: field("mode", text),
  hostIp: field("host_ip", text),
  target: field("target", integer({ min: 1, max: PORT_MAX }), { required: true }),
  published: field("published", textOrInteger),
  protocol: field("protocol", text),
  appProtocol: field("app_protocol", text),
});

const portEntry: Codec<readonly ServicePort[]> = {
  read(tree, path, reading) {
    if (tree.kind === "map") {
      const port = longPort.read(tree, path, reading);
      return port === undefined
        ? undefined
        : [{ mode: "ingress", protocol: "tcp", ...withoutEmpty(port) }];
    }
    if (tree.kind === "scalar" && isUnexpanded(tree, reading)) {
      return [{ target: 0, published: tree.text }];
    }
    if (tree.kind === "scalar" && (tree.type === "string" || tree.type === "int")) {
      if (!reading.ports.spend(1)) return undefined;
      const parsed = parsePortSpec(tree.text);
      if (typeof parsed !== "string")
        return reading.ports.spend(parsed.length) ? parsed : undefined;
      return refuse(reading, tree, path, {
        found: `${JSON.stringify(tree.text)}: ${parsed}`,
        expected: PORT_EXPECTED,
      });
    }
    return refuse(reading, tree, path, { found: `is ${kindName(tree)}`, expected: PORT_EXPECTED });
  },
  print: () => undefined,
  schema: { oneOf: [{ type: ["number", "string"] }, longPort.schema] },
};

function withoutEmpty(port: ServicePort): ServicePort {
  if (port.published !== "") return port;
  const { published: _empty, ...rest } = port;
  return rest;
}

const entries = list(portEntry);

/** All ports of a service, ranges expanded, without repetitions. */
export const ports: Codec<readonly ServicePort[]> = {
  read(tree, path, reading) {
    const read = entries.read(tree, path, reading);
    return read === undefined ? undefined : uniqueBy(read.flat(), portIdentity);
  },
  print(value, format) {
    if (value.length === 0) return undefined;
    return value.map((port) => {
      // A short form whose variables were left in it is printed as it was written.
      if (port.target === 0) return port.published ?? null;
      return longPort.print(port, format) ?? null;
    });
  },
  schema: entries.schema,
};

function portIdentity(port: ServicePort): string {
  return `${port.hostIp ?? "0.0.0.0"}:${port.published ?? ""}:${port.target}/${port.protocol ?? "tcp"}`;
}

/** What names a port or a range; the reference lets any text through, so others are warned of and open nothing. */
const EXPOSE = /^(\d{1,5}(-\d{1,5})?(\/[a-zA-Z]+)?)?$/;

const exposeEntry: Codec<string> = {
  read(tree, path, reading) {
    const written = textOrInteger.read(tree, path, reading);
    if (written === undefined || EXPOSE.test(written) || isUnexpanded(tree, reading))
      return written;
    reading.problems.warn(tree, path, `is ${JSON.stringify(written)}, which opens nothing`, {
      expected: "a port or a range, with /tcp or /udp",
    });
    return written;
  },
  print: (value) => value,
  schema: textOrInteger.schema,
};

/** `expose`. */
export const expose = list(exposeEntry, { identity: (port) => port });

/** A port that a service says it listens on. */
export interface ExposedPort {
  readonly port: number;
  readonly protocol: string;
}

/** `expose` as single ports. */
export function exposedPorts(entriesOfService: readonly string[]): readonly ExposedPort[] {
  return entriesOfService.flatMap((entry) => {
    const parsed = parsePortSpec(entry);
    if (typeof parsed === "string") return [];
    return parsed.map((port) => ({ port: port.target, protocol: port.protocol ?? "tcp" }));
  });
}
