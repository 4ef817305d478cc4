/** "How many more of these fit?" Copies are placed until one finds no place. */

import { NONE } from "../dense/cluster.ts";
import type { Ask, NodeModel, Strategy } from "../model.ts";
import { type RunningAsk, runningState } from "./running.ts";

/** More copies than this are not counted: the answer is "at least so many". */
export const HEADROOM_MAX = 1_000_000;

export interface HeadroomInput {
  readonly nodes: readonly NodeModel[];
  readonly running: readonly RunningAsk[];
  /** Each is asked alone, beside what runs. */
  readonly asks: readonly Ask[];
  readonly seed: number;
  /** Where each copy goes. */
  readonly strategy: Strategy;
}

/** Copies by ask, in the order of `asks`. Cost: that of placing them. */
export function headroom(
  input: HeadroomInput,
): readonly { readonly ask: string; readonly copies: number }[] {
  const { engine } = runningState(input.nodes, input.running, input);
  return input.asks.map((ask) => {
    const shape = engine.cluster.shape(ask);
    const service = engine.cluster.services.idOf(ask.service);
    const placed: number[] = [];
    while (placed.length < HEADROOM_MAX) {
      const task = engine.placeOne(shape, service);
      if (task === NONE) break;
      placed.push(task);
    }
    for (const task of placed) engine.cluster.remove(task);
    return { ask: ask.id, copies: placed.length };
  });
}
