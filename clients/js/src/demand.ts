/** How many identities a source takes at once. It reads no clock. */

import { REFILL_LATE_MS, REFILL_MIN, REFILL_SOON_MS } from './limits.js';

/** A refill, as it began. */
interface Begun {
  readonly at: number;
  readonly size: number;
  /** How many identities had been dropped by then. */
  readonly dropped: number;
}

/** The size of the next refill, after what a source has needed so far. Times are in milliseconds. */
export class Demand {
  readonly #least: number;
  readonly #most: number;
  /** The last refill that has brought something. */
  #last: Begun | undefined;
  /** The one that began last. */
  #begun: Begun | undefined;

  /** A refill has at most so many identities. */
  constructor(most: number) {
    this.#least = Math.min(REFILL_MIN, most);
    this.#most = most;
  }

  /**
   * The size of a refill that begins now, while so many calls wait, and when so many identities were dropped since the
   * beginning. It is doubled if the refill before began only just now, and halved if that is long ago.
   */
  next(at: number, waiting: number, dropped: number): number {
    let size = this.#last?.size ?? this.#least;
    if (this.#last !== undefined) {
      const since = at - this.#last.at;
      // What was dropped is gone sooner, but nobody has used it.
      if (since < REFILL_SOON_MS && dropped === this.#last.dropped) {
        size *= 2;
      } else if (since > REFILL_LATE_MS) {
        size = Math.floor(size / 2);
      }
    }
    size = Math.min(Math.max(size, waiting, this.#least), this.#most);
    this.#begun = { at, size, dropped };
    return size;
  }

  /** The refill that began last has brought something. One that fails shows no demand. */
  succeeded(): void {
    this.#last = this.#begun;
  }
}
