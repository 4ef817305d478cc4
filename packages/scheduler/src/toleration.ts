/** Do tolerations cover a taint? An absent field of a toleration matches everything. */

import type { Taint, Toleration } from "./model.ts";

export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  return tolerations.some(
    ({ key, value, effect }) =>
      (key === undefined || key === taint.key) &&
      (value === undefined || value === (taint.value ?? "")) &&
      (effect === undefined || effect === taint.effect),
  );
}
