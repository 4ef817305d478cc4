/**
 * The outside world of fencing: something that makes sure that nothing of a host runs any more (its power is off,
 * its instance is deleted, it is cut off from storage) and says whether it is so.
 *
 * For people: docs/operating/nodes.md. The command line runs an executable; tests have their own.
 */

/** What a hook is told about the node. */
export interface FenceRequest {
  readonly node: string;
  readonly cluster: string;
  /** By which other hosts reached it, as its agent said last; absent when it never did. */
  readonly address: string | undefined;
  /** The boot of the host that is to end: a host that was booted since may be left alone. */
  readonly bootId: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Wall time since which the node is silent. */
  readonly silentSince: number;
  /** From 1; counts the runs for this silence. */
  readonly attempt: number;
}

export interface FenceOutcome {
  /** Nothing of the host runs, or can write, any more. */
  readonly fenced: boolean;
  /** One line for people: what the hook said, or what went wrong with it. */
  readonly message: string;
}

export interface FenceHook {
  /** Never rejects but when `signal` aborts; has a limit of time of its own. */
  readonly fence: (request: FenceRequest, signal: AbortSignal) => Promise<FenceOutcome>;
}
