/** Nodes that changed, for whoever remembers something about nodes: as `NodeChanges`, but read in place. */

/** Entries for each node: a cursor that is behind by more than a few rounds begins anew. */
const ENTRIES_PER_NODE = 4;
const ENTRIES_MIN = 1 << 12;

export class ChangeLog {
  readonly ring: Int32Array;
  /** `ring.length - 1`: a power of two less one. */
  readonly mask: number;
  /** Changes noted so far. */
  count = 0;
  /** Changes by node: what was computed for a node holds while its number is the same. */
  readonly versions: Uint32Array;

  constructor(nodes: number) {
    const length = 2 ** Math.ceil(Math.log2(Math.max(ENTRIES_MIN, nodes * ENTRIES_PER_NODE)));
    this.ring = new Int32Array(length);
    this.versions = new Uint32Array(nodes);
    this.mask = length - 1;
  }

  note(node: number): void {
    this.ring[this.count++ & this.mask] = node;
    this.versions[node] = (this.versions[node] ?? 0) + 1;
  }

  /** Can a reader that has seen `seen` changes learn all that came since? */
  remembers(seen: number): boolean {
    return this.count - seen <= this.mask;
  }
}
