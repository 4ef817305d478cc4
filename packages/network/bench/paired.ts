/** Figures of paired measurements. */

/** One-sided 95 % quantile of Student's t by degrees of freedom; beyond the table, the normal one. */
const T_95 = [
  6.314, 2.92, 2.353, 2.132, 2.015, 1.943, 1.895, 1.86, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761,
  1.753, 1.746, 1.74, 1.734, 1.729, 1.725,
];
const NORMAL_95 = 1.7;

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The mean is above this with 95 % confidence. */
export function lowerBound(values: readonly number[]): number {
  const middle = mean(values);
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  const deviation = Math.sqrt(squares / Math.max(1, values.length - 1));
  const quantile = T_95[values.length - 2] ?? NORMAL_95;
  return middle - (quantile * deviation) / Math.sqrt(values.length);
}
