/**
 * One run at a time of something that goes by the newest state: whoever asks during a run gets the next one,
 * which is one for all that have asked. So a burst of changes costs two runs, and nobody waits for more.
 */

export class NewestTurn {
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  /** Resolves, or rejects, with a run that begins after this call; `work` looks at the state by itself. */
  run(work: () => Promise<void>): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return work();
    });
    const next = this.#next;
    this.#running = next.catch(() => {});
    return next;
  }

  /** Resolves when nothing runs, and nothing that was asked for before this call waits. */
  async idle(): Promise<void> {
    await this.#running;
  }
}
