/**
 * A bounded queue between one producer that must not wait and one consumer that iterates.
 *
 * Invariants: values come out in the order in which they went in; after `end` or `fail` what is queued is
 * still delivered, then the iteration ends or throws. A full queue fails: a consumer that cannot keep up
 * has to start over rather than to miss values in silence. Cost: O(1) a value.
 */

export interface ChannelOptions {
  /** Values queued at most. */
  readonly limit: number;
  /** Made into the consumer's error when the limit is exceeded. */
  readonly overflow: () => Error;
}

export class Channel<T> implements AsyncIterable<T> {
  readonly #options: ChannelOptions;
  #queue: T[] = [];
  #head = 0;
  #closed = false;
  #error: unknown;
  #wake: (() => void) | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** Nothing more is accepted. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Queues a value; ignored after the end. */
  push(value: T): void {
    if (this.#closed) return;
    if (this.#queue.length - this.#head >= this.#options.limit) {
      this.fail(this.#options.overflow());
      return;
    }
    this.#queue.push(value);
    this.#notify();
  }

  /** The consumer gets what is queued, then its end. */
  end(): void {
    this.#closed = true;
    this.#notify();
  }

  /** The consumer gets what is queued, then `error`. */
  fail(error: unknown): void {
    if (this.#closed) return;
    this.#error = error;
    this.end();
  }

  /** One consumer only. Leaving the loop closes the channel. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      while (true) {
        const value = this.#take();
        if (value !== undefined) {
          yield value.item;
          continue;
        }
        if (this.#closed) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#error !== undefined) throw this.#error;
    } finally {
      this.#closed = true;
      this.#queue = [];
      this.#head = 0;
    }
  }

  #take(): { readonly item: T } | undefined {
    if (this.#head === this.#queue.length) return undefined;
    const item = this.#queue[this.#head] as T;
    this.#head++;
    // Shifted in blocks, so that a long queue costs O(1) a value.
    if (this.#head > 1_024 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return { item };
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
