/**
 * The order of nodes that score alike: shuffled by the seed, fixed for the life of a node.
 *
 * A fixed rank consolidates (the same node is taken first again and again), and since it depends on seed
 * and id only, no insertion order and no other node changes it. The hash is FNV-1a with the finaliser of
 * MurmurHash3, which spreads ids that differ in their last digit over the whole range.
 */

/** Rank of the node `id`, 0 ... 2^32 - 1; O(length of the id). */
export function rankOf(seed: number, id: string): number {
  let hash = (0x811c9dc5 ^ seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  for (let index = 0; index < id.length; index++) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
