/**
 * Finds the best node among trees of bounds: no node is worth more than its leaf, most are worth exactly that,
 * so the search looks at few of them.
 *
 * Cells are opened in the order of what they promise (the greater bound, then the lower place) until no cell
 * promises more than the best node found. Invariant: the answer is that of a look at every node, ties by
 * place included. Cost: O(trees × log nodes) where the tops are worth what they promise, and
 * O(log nodes) more for each node that is worth less.
 */

import { assert } from "@berth/base";
import type { NodeState } from "./node-state.ts";
import { type Candidate, compareCandidates } from "./pipeline.ts";
import { OUT, type Tournament } from "./tournament.ts";

/** Nodes whose worth is at most their score in `tree` plus `bonus`. */
export interface Field {
  readonly tree: Tournament;
  /** By place in the tree, which is the order of their own places. */
  readonly nodes: readonly NodeState[];
  readonly bonus: number;
}

/** What a node is really worth, not more than its bound; `OUT` when it is refused. */
export type Worth = (node: NodeState) => number;

/** The best of the fields and `best`, as `compareCandidates` has it. */
export function bestFirst(
  fields: readonly Field[],
  worth: Worth,
  start?: Candidate,
): Candidate | undefined {
  let best = start;
  const open: Field[] = [];
  for (const field of fields) {
    const at = field.tree.best();
    if (at === undefined) continue;
    const node = nodeAt(field, at);
    const score = worth(node);
    best = better(best, node, score);
    // The top is the first of the greatest bound: where it keeps its promise, its field holds nothing better.
    if (score !== field.tree.score(at) + field.bonus) open.push(field);
  }
  return open.length === 0 ? best : searchCells(open, worth, best);
}

/** The node with that score where it is better than `best`; `OUT` never is. */
export function better(
  best: Candidate | undefined,
  node: NodeState,
  score: number,
): Candidate | undefined {
  if (score === OUT) return best;
  const candidate = { node, score };
  return best === undefined || compareCandidates(candidate, best) < 0 ? candidate : best;
}

/** A part of a field, with the most that it promises and the place of its first node. */
interface Cell {
  readonly field: Field;
  readonly cell: number;
  readonly bound: number;
  readonly place: number;
}

function searchCells(
  fields: readonly Field[],
  worth: Worth,
  start: Candidate | undefined,
): Candidate | undefined {
  let best = start;
  const heap = new Heap();
  for (const field of fields) push(heap, field, 1);
  for (let next = heap.pop(); next !== undefined; next = heap.pop()) {
    if (best !== undefined && !promisesMore(next, best)) break;
    const { field, cell } = next;
    if (field.tree.isLeaf(cell)) {
      const node = nodeAt(field, field.tree.firstLeaf(cell));
      best = better(best, node, worth(node));
    } else {
      push(heap, field, 2 * cell);
      push(heap, field, 2 * cell + 1);
    }
  }
  return best;
}

function promisesMore({ bound, place }: Cell, best: Candidate): boolean {
  return bound > best.score || (bound === best.score && place < best.node.place);
}

function push(heap: Heap, field: Field, cell: number): void {
  const score = field.tree.at(cell);
  if (score === OUT) return;
  const { place } = nodeAt(field, field.tree.firstLeaf(cell));
  heap.push({ field, cell, bound: score + field.bonus, place });
}

function nodeAt({ nodes }: Field, leaf: number): NodeState {
  const node = nodes[leaf];
  assert(node !== undefined, "a leaf without a node has a score");
  return node;
}

/** A binary heap, the most promising cell on top. */
class Heap {
  readonly #cells: Cell[] = [];

  push(cell: Cell): void {
    const cells = this.#cells;
    let at = cells.length;
    cells.push(cell);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = cells[parent];
      if (above === undefined || before(above, cell)) break;
      cells[at] = above;
      at = parent;
    }
    cells[at] = cell;
  }

  pop(): Cell | undefined {
    const cells = this.#cells;
    const top = cells[0];
    const last = cells.pop();
    if (last === undefined || cells.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = cells[child];
      const other = cells[child + 1];
      if (below === undefined) break;
      if (other !== undefined && before(other, below)) {
        below = other;
        child++;
      }
      if (before(last, below)) break;
      cells[at] = below;
      at = child;
    }
    cells[at] = last;
    return top;
  }
}

function before(a: Cell, b: Cell): boolean {
  return a.bound > b.bound || (a.bound === b.bound && a.place < b.place);
}
