/**
 * The attributes of a node that constraints, spread and affinity can name.
 *
 * `node.id`, `node.hostname` (or `node.name`), `node.ip`, `node.role`, `node.platform.os`,
 * `node.platform.arch`, `node.labels.<key>`, `engine.labels.<key>` as in Swarm, and
 * `node.topology.<level>`. A level is `node`, the name of a topology level, or one of these attributes.
 */

import type { NodeModel } from "./model.ts";

const FIXED = [
  "node.id",
  "node.name",
  "node.hostname",
  "node.ip",
  "node.role",
  "node.platform.os",
  "node.platform.arch",
] as const;
type FixedAttribute = (typeof FIXED)[number];

const PREFIXES = ["node.labels.", "engine.labels.", "node.topology."] as const;

/** For messages: the attributes there are. */
export const ATTRIBUTE_FORMS: readonly string[] = [
  ...FIXED,
  ...PREFIXES.map((prefix) => `${prefix}<name>`),
];

/** `Node.Labels.Zone` → `node.labels.Zone`; `undefined` when there is no such attribute. */
export function normalAttribute(text: string): string | undefined {
  const lower = text.toLowerCase();
  const fixed = FIXED.find((name) => name === lower);
  if (fixed !== undefined) return fixed;
  const prefix = PREFIXES.find((start) => lower.startsWith(start) && lower.length > start.length);
  return prefix === undefined ? undefined : prefix + text.slice(prefix.length);
}

/** The values of a normal attribute at `node`; empty when it has none. O(1) but for roles and addresses. */
export function attributeValues(node: NodeModel, attribute: string): readonly string[] {
  const fixed = FIXED.find((name) => name === attribute);
  if (fixed !== undefined) return FIXED_VALUES[fixed](node);
  const value = namedValue(node, attribute);
  return value === undefined ? [] : [value];
}

/** The domain of `node` at `level`, or `undefined` when it lies in none. */
export function domainOf(node: NodeModel, level: string): string | undefined {
  return domainReader(level)(node);
}

/** `domainOf` for many nodes: the level is understood once. */
export function domainReader(level: string): (node: NodeModel) => string | undefined {
  if (level === "node") return (node) => node.id;
  const attribute = normalAttribute(level);
  if (attribute === undefined) return (node) => own(node.topology, level);
  return (node) => attributeValues(node, attribute)[0];
}

/** `x86_64` → `amd64`: the kernel's names and the images' names for the same processors. */
export function normalArchitecture(architecture: string): string {
  const lower = architecture.toLowerCase();
  return ARCHITECTURE_ALIASES.get(lower) ?? lower;
}

const ARCHITECTURE_ALIASES: ReadonlyMap<string, string> = new Map([
  ["x86_64", "amd64"],
  ["aarch64", "arm64"],
  ["armv7l", "arm"],
  ["i386", "386"],
  ["i686", "386"],
]);

const FIXED_VALUES: Readonly<Record<FixedAttribute, (node: NodeModel) => readonly string[]>> = {
  "node.id": (node) => [node.id],
  "node.name": (node) => [node.name ?? node.id],
  "node.hostname": (node) => [node.name ?? node.id],
  "node.ip": (node) => node.addresses,
  "node.role": (node) => node.roles ?? [],
  "node.platform.os": (node) => [node.platform.os],
  // Both names of an architecture are answered, so that `==x86_64` and `==amd64` mean the same.
  "node.platform.arch": (node) => architectureNames(node.platform.architecture),
};

function architectureNames(architecture: string): readonly string[] {
  const normal = normalArchitecture(architecture);
  const aliases = [...ARCHITECTURE_ALIASES].filter(([, target]) => target === normal);
  return [normal, ...aliases.map(([alias]) => alias)];
}

function namedValue(node: NodeModel, attribute: string): string | undefined {
  if (attribute.startsWith("node.labels.")) return own(node.labels, attribute.slice(12));
  if (attribute.startsWith("engine.labels.")) return own(node.engineLabels, attribute.slice(14));
  return own(node.topology, attribute.slice(14));
}

/** Labels come from users: `constructor` must not find what every object inherits. */
function own(
  record: Readonly<Record<string, string>> | undefined,
  key: string,
): string | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
