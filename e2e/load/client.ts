import type { Tally } from "./tally.ts";

/** Where a client finds its peer. */
export interface Peer {
  readonly address: () => Promise<string>;
  readonly port: number;
  readonly hostHeader: string;
}

/** One client of a kind: asks until `isOver`. */
export type Client = (
  peer: Peer,
  tally: Tally,
  options: { readonly pauseMs: number; readonly isOver: () => boolean },
) => Promise<void>;
