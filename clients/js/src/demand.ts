/** How many identities a source takes at once. It reads no clock. */

import { REFILL_LATE_MS, REFILL_MIN, REFILL_SOON_MS } from './limits.js';

/** The size of the next refill, after what a source has needed so far. Times are in milliseconds. */
export class Demand {
  readonly #least: number;
  readonly #most: number;
  #size: number | undefined;
  #cameAt = 0;

  /** A refill has at most so many identities. */
  constructor(most: number) {
    this.#least = Math.min(REFILL_MIN, most);
    this.#most = most;
  }

  /**
   * The size of a refill that begins now, while so many calls wait. It is doubled if the refill before has come only just
   * now, and halved if it has lasted long.
   */
  next(now: number, waiting: number): number {
    let size = this.#size;
    if (size === undefined) {
      size = this.#least;
    } else if (now - this.#cameAt < REFILL_SOON_MS) {
      size *= 2;
    } else if (now - this.#cameAt > REFILL_LATE_MS) {
      size = Math.floor(size / 2);
    }
    this.#size = Math.min(Math.max(size, waiting, this.#least), this.#most);
    return this.#size;
  }

  /** A refill has come. */
  came(now: number): void {
    this.#cameAt = now;
  }
}
