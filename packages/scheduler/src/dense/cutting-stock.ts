/**
 * What shares of a device are worth: the dual values of the cutting-stock problem for a mix of sizes.
 *
 * Cut devices of 1,000 thousandths so that demand for every size is met with the fewest of them. In the optimum
 * of the relaxed problem each size has a price such that no way to cut a device is worth more than the
 * device (1), and the ways that are used are worth exactly that. Solved by column generation: revised
 * simplex over as many rows as there are sizes, new columns by an unbounded knapsack (Gilmore and Gomory,
 * "A Linear Programming Approach to the Cutting-Stock Problem", Operations Research 9, 1961).
 * Cost: O(sizes × 1,000) for a column, O(sizes²) for a pivot; milliseconds for some dozens of sizes.
 */

/** A size in thousandths (1 to 1,000), and how much it is asked for, in any unit. */
export interface SizeDemand {
  readonly size: number;
  readonly demand: number;
}

const WHOLE = 1_000;
/** Each column improves the bound; the last ones by nothing that matters. */
const COLUMNS_MAX = 400;
const EPSILON = 1e-7;

/** Price by size, in devices; sizes are different from each other and their demand is above 0. */
export function pricesOf(sizes: readonly SizeDemand[]): readonly number[] {
  const rows = sizes.length;
  // Begin with devices cut into one size each: a diagonal basis.
  const inverse = sizes.map(({ size }, row) =>
    Float64Array.from({ length: rows }, (_, column) =>
      row === column ? 1 / Math.floor(WHOLE / size) : 0,
    ),
  );
  const amounts = sizes.map(({ size, demand }) => demand / Math.floor(WHOLE / size));
  for (let column = 0; column < COLUMNS_MAX; column++) {
    const prices = columnSums(inverse);
    const cut = bestCut(sizes, prices);
    if (cut.worth <= 1 + EPSILON || !pivot(inverse, amounts, cut.pieces)) return prices;
  }
  return columnSums(inverse);
}

/** The most that pieces from a remainder are worth, by thousandths free: 0 to 1,000. */
export function worthByRemainder(
  sizes: readonly SizeDemand[],
  prices: readonly number[],
): Float64Array {
  return knapsack(sizes, prices).worth;
}

/** Every basic column costs one device, so the prices are the sums of the inverse's columns. */
function columnSums(inverse: readonly Float64Array[]): number[] {
  const sums = inverse.map(() => 0);
  for (const row of inverse) {
    for (const [column, value] of row.entries()) sums[column] = (sums[column] ?? 0) + value;
  }
  return sums;
}

function knapsack(sizes: readonly SizeDemand[], prices: readonly number[]) {
  const worth = new Float64Array(WHOLE + 1);
  const last = new Int32Array(WHOLE + 1).fill(-1);
  for (let room = 1; room <= WHOLE; room++) {
    worth[room] = worth[room - 1] ?? 0;
    sizes.forEach(({ size }, index) => {
      if (size > room) return;
      const value = (worth[room - size] ?? 0) + (prices[index] ?? 0);
      if (value <= (worth[room] ?? 0) + EPSILON) return;
      worth[room] = value;
      last[room] = index;
    });
  }
  return { worth, last };
}

function bestCut(sizes: readonly SizeDemand[], prices: readonly number[]) {
  const { worth, last } = knapsack(sizes, prices);
  const pieces = new Float64Array(sizes.length);
  let room = WHOLE;
  while (room > 0) {
    const index = last[room] ?? -1;
    if (index === -1) {
      room--;
      continue;
    }
    pieces[index] = (pieces[index] ?? 0) + 1;
    room -= sizes[index]?.size ?? room;
  }
  return { pieces, worth: worth[WHOLE] ?? 0 };
}

/** Brings a column into the basis; false when nothing has to leave for it. */
function pivot(inverse: Float64Array[], amounts: number[], column: Float64Array): boolean {
  const direction = inverse.map((row) =>
    row.reduce((sum, value, at) => sum + value * (column[at] ?? 0), 0),
  );
  let leaving = -1;
  let step = Number.POSITIVE_INFINITY;
  direction.forEach((value, row) => {
    const ratio = (amounts[row] ?? 0) / value;
    if (value <= EPSILON || ratio >= step) return;
    step = ratio;
    leaving = row;
  });
  const pivotRow = inverse[leaving];
  if (pivotRow === undefined) return false;
  const divisor = direction[leaving] ?? 1;
  for (const [at, value] of pivotRow.entries()) pivotRow[at] = value / divisor;
  amounts[leaving] = step;
  inverse.forEach((row, at) => {
    const factor = direction[at] ?? 0;
    if (at === leaving || factor === 0) return;
    for (const [index, value] of row.entries())
      row[index] = value - factor * (pivotRow[index] ?? 0);
    amounts[at] = (amounts[at] ?? 0) - factor * step;
  });
  return true;
}
