/** What one kind of client saw: answers, failures by what went wrong, and how long answers took. */

/** What can go wrong with a request, each counted apart. */
export const FAILURES = {
  "no-name": "the name had no address",
  refused: "the connection was refused or did not come about",
  reset: "the connection ended before a byte of the answer",
  cut: "the connection ended within the answer",
  status: "another status than 200",
  wrong: "an answer to something else",
  timeout: "no answer in time",
} as const;
export type Failure = keyof typeof FAILURES;

export interface KindReport {
  readonly requests: number;
  readonly failures: Readonly<Partial<Record<Failure, number>>>;
  /** The first failures in words, with their time. */
  readonly examples: readonly string[];
  /** Connections that ended between two requests, as they may. */
  readonly reconnects: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

const EXAMPLES_MAX = 5;
/** Buckets a doubling: quantiles are exact to 5 %. */
const BUCKETS_PER_DOUBLING = 16;
const BUCKETS = 32 * BUCKETS_PER_DOUBLING;

export class Tally {
  #requests = 0;
  #reconnects = 0;
  readonly #failures: Partial<Record<Failure, number>> = {};
  readonly #examples: string[] = [];
  /** By microseconds, logarithmically. */
  readonly #latencies = new Uint32Array(BUCKETS);
  #maxMs = 0;

  good(latencyMs: number): void {
    this.#requests++;
    const bucket = Math.floor(Math.log2(Math.max(1, latencyMs * 1_000)) * BUCKETS_PER_DOUBLING);
    const at = Math.min(BUCKETS - 1, bucket);
    this.#latencies[at] = (this.#latencies[at] ?? 0) + 1;
    this.#maxMs = Math.max(this.#maxMs, latencyMs);
  }

  bad(failure: Failure, words: string): void {
    this.#requests++;
    this.#failures[failure] = (this.#failures[failure] ?? 0) + 1;
    if (this.#examples.length < EXAMPLES_MAX) {
      this.#examples.push(`${new Date().toISOString()} ${failure}: ${words}`);
    }
  }

  reconnected(): void {
    this.#reconnects++;
  }

  report(): KindReport {
    return {
      requests: this.#requests,
      failures: this.#failures,
      examples: this.#examples,
      reconnects: this.#reconnects,
      latencyMs: { p50: this.#quantile(0.5), p99: this.#quantile(0.99), max: this.#maxMs },
    };
  }

  #quantile(share: number): number {
    const total = this.#latencies.reduce((sum, count) => sum + count, 0);
    let seen = 0;
    for (const [bucket, count] of this.#latencies.entries()) {
      seen += count;
      if (seen >= total * share && total > 0) {
        return Math.min(this.#maxMs, 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING) / 1_000);
      }
    }
    return 0;
  }
}

/** A request that failed. */
export class RequestFailure extends Error {
  readonly failure: Failure;

  constructor(failure: Failure, message: string) {
    super(message);
    this.failure = failure;
  }
}
