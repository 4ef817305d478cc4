/**
 * An nftables table of ours as data, and the text that brings the kernel from one state to another: the
 * whole table, or only what differs, in one transaction either way.
 *
 * What never changes (base chains, declarations of sets) is the frame; chains without a hook and elements of
 * sets are what differs between two states. A chain named after the digest of everything says which state
 * the kernel has. Pure. Cost: O(state) for the text and the digest, O(difference) for a transaction.
 */

export interface TableFrame {
  /** `berth_c1_address`, family inet. */
  readonly table: string;
  /** Sets and maps by name, with their type and flags; elements come from the state. */
  readonly sets: ReadonlyMap<string, readonly string[]>;
  /** Chains with a hook, and all of their lines. */
  readonly baseChains: ReadonlyMap<string, readonly string[]>;
}

export interface TableState {
  /** Sets that the kernel fills by itself, with their type and flags. Kept while they are wanted. */
  readonly dynamicSets: ReadonlyMap<string, readonly string[]>;
  /** Rules by chain. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Elements by set: the key, and for maps what it leads to. */
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, string | undefined>>;
}

/** Digests of states that were asked for: a state does not change, and is asked for several times. */
const VERSIONS = new WeakMap<TableState, string>();

/** Chain name that tells the state; the same for equal states, whatever the order of their making. */
export function versionChain(frame: TableFrame, state: TableState): string {
  const known = VERSIONS.get(state);
  if (known !== undefined) return known;
  const sum = new UnorderedDigest();
  for (const [name, lines] of frame.sets) sum.add(`set ${name} ${lines.join(";")}`);
  for (const [name, lines] of frame.baseChains) sum.add(`base ${name} ${lines.join(";")}`);
  for (const [name, lines] of state.dynamicSets) sum.add(`dynamic ${name} ${lines.join(";")}`);
  for (const [name, rules] of state.chains) sum.add(`chain ${name} ${rules.join(";")}`);
  for (const [name, elements] of state.elements) {
    for (const [key, data] of elements) sum.add(`element ${name} ${key} ${data}`);
  }
  const version = `version_${sum.text()}`;
  VERSIONS.set(state, version);
  return version;
}

/**
 * A digest of lines in no order: 64 bits that tell states apart, no protection against anybody. Sorting a
 * hundred thousand lines for a stronger one would cost each change a tenth of a second.
 */
class UnorderedDigest {
  #high = 0;
  #low = 0;

  add(line: string): void {
    let a = 0x811c9dc5;
    let b = 0x9e3779b9;
    for (let index = 0; index < line.length; index++) {
      const code = line.charCodeAt(index);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b ^ code, 0x85ebca6b);
      b ^= b >>> 13;
    }
    this.#high = (this.#high + a) >>> 0;
    this.#low = (this.#low + b) >>> 0;
  }

  text(): string {
    return [this.#high, this.#low].map((half) => half.toString(16).padStart(8, "0")).join("");
  }
}

/** Replaces whatever the kernel has by `state`. */
export function wholeTable(frame: TableFrame, state: TableState): string {
  const { table } = frame;
  const lines = [
    // Declared first, so that deleting it cannot fail.
    `table inet ${table} {}`,
    `delete table inet ${table}`,
    `table inet ${table} {`,
    ...block(`chain ${versionChain(frame, state)}`, []),
  ];
  for (const [name, declaration] of state.dynamicSets) {
    lines.push(...block(`set ${name}`, declaration));
  }
  // Maps of verdicts name chains: those come first.
  for (const [name, rules] of state.chains) lines.push(...block(`chain ${name}`, rules));
  for (const [name, declaration] of frame.sets) {
    const elements = [...(state.elements.get(name) ?? [])].map(elementText);
    const content = elements.length === 0 ? [] : [`elements = { ${elements.join(", ")} }`];
    lines.push(...block(declaration[0] ?? "", [...declaration.slice(1), ...content]));
  }
  for (const [name, rules] of frame.baseChains) lines.push(...block(`chain ${name}`, rules));
  lines.push("}", "");
  return lines.join("\n");
}

/** Brings the kernel from `before` to `after`; empty when they are the same. */
export function tableChanges(frame: TableFrame, before: TableState, after: TableState): string {
  const { table } = frame;
  const lines: string[] = [];
  const at = `inet ${table}`;
  for (const [name, declaration] of after.dynamicSets) {
    if (before.dynamicSets.has(name)) continue;
    lines.push(`add set ${at} ${name} { ${declaration.join("; ")}; }`);
  }
  for (const [name] of after.chains) {
    // All before any rule: rules lead from one to the other.
    if (!before.chains.has(name)) lines.push(`add chain ${at} ${name}`);
  }
  for (const [name, rules] of after.chains) {
    const known = before.chains.get(name);
    if (known !== undefined && sameRules(known, rules)) continue;
    if (known !== undefined) lines.push(`flush chain ${at} ${name}`);
    lines.push(...rules.map((rule) => `add rule ${at} ${name} ${rule}`));
  }
  for (const name of frame.sets.keys()) {
    const old = before.elements.get(name) ?? NOTHING;
    const now = after.elements.get(name) ?? NOTHING;
    const gone = [...old].filter(([key, data]) => !now.has(key) || now.get(key) !== data);
    const come = [...now].filter(([key, data]) => !old.has(key) || old.get(key) !== data);
    const keys = gone.map(([key]) => key);
    if (keys.length > 0) lines.push(`delete element ${at} ${name} { ${keys.join(", ")} }`);
    const texts = come.map(elementText);
    if (texts.length > 0) lines.push(`add element ${at} ${name} { ${texts.join(", ")} }`);
  }
  const gone = [...before.chains.keys()].filter((name) => !after.chains.has(name));
  // First all of their rules: they may lead to each other.
  for (const name of gone) lines.push(`flush chain ${at} ${name}`);
  for (const name of gone) lines.push(`delete chain ${at} ${name}`);
  for (const name of before.dynamicSets.keys()) {
    if (!after.dynamicSets.has(name)) lines.push(`delete set ${at} ${name}`);
  }
  if (lines.length === 0) return "";
  lines.push(`delete chain ${at} ${versionChain(frame, before)}`);
  lines.push(`add chain ${at} ${versionChain(frame, after)}`);
  return `${lines.join("\n")}\n`;
}

const NOTHING: ReadonlyMap<string, string | undefined> = new Map();

function sameRules(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((rule, index) => rule === b[index]);
}

function elementText([key, data]: readonly [string, string | undefined]): string {
  return data === undefined ? key : `${key} : ${data}`;
}

function block(head: string, lines: readonly string[]): string[] {
  return [`  ${head} {`, ...lines.map((line) => `    ${line}`), "  }"];
}
