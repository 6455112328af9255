/** The identities that a source holds, the smallest first. It reads no clock and asks nobody. */

import { IDENTITY_STRIDE, pidOf } from './identity.js';

interface Batch {
  /** The next identity of it. */
  next: bigint;
  /** How many are left of it, 1 or more. */
  left: number;
  /** When it came, in milliseconds on the clock of the caller. */
  readonly cameAt: number;
}

/** What a source holds. */
export class Stock {
  // Each batch is greater than the one before it.
  #batches: Batch[] = [];
  #count = 0;

  /** How many identities are held. */
  get count(): number {
    return this.#count;
  }

  /** The smallest that is held. */
  get next(): bigint | undefined {
    return this.#batches[0]?.next;
  }

  /** Adds the identities `first`, `first + 1024`, ..., which must be greater than all that are held. */
  add(first: bigint, count: number, now: number): void {
    this.#batches.push({ next: first, left: count, cameAt: now });
    this.#count += count;
  }

  /** Takes the smallest. */
  take(): bigint | undefined {
    const batch = this.#batches[0];
    if (batch === undefined) {
      return undefined;
    }
    const identity = batch.next;
    batch.next = identity + IDENTITY_STRIDE;
    batch.left -= 1;
    this.#count -= 1;
    if (batch.left === 0) {
      this.#batches.shift();
    }
    return identity;
  }

  /** Drops everything, and returns how many that were. */
  dropAll(): number {
    return this.#keep(() => false);
  }

  /** Drops what came before this time, and returns how many that were. */
  dropOlder(time: number): number {
    return this.#keep(({ cameAt }) => cameAt > time);
  }

  /** Drops what was handed out with this pid, and returns how many that were. */
  dropPid(pid: number): number {
    return this.#keep(({ next }) => pidOf(next) !== pid);
  }

  #keep(isKept: (batch: Batch) => boolean): number {
    const before = this.#count;
    this.#batches = this.#batches.filter(isKept);
    this.#count = this.#batches.reduce((sum, { left }) => sum + left, 0);
    return before - this.#count;
  }
}
