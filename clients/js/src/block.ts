/** The result of a request: one or more identities, one sequence apart. */

import { ConfigurationError } from './errors.js';
import { IDENTITY_MAX, IDENTITY_STRIDE } from './identity.js';

/**
 * One or more identities of one server: `first`, `first + 1024n`, `first + 2048n`, ... They were handed out together,
 * and nobody else has them. A block is an iterable of them, in increasing order.
 */
export class Block implements Iterable<bigint> {
  /** The smallest identity. */
  readonly first: bigint;
  /** How many identities, 1 or more. */
  readonly count: number;

  /**
   * The block of `count` identities from `first` on.
   *
   * @throws {ConfigurationError} It would be empty, begin before sequence 1, or end beyond the last identity.
   */
  constructor(first: bigint, count: number) {
    this.first = first;
    this.count = count;
    if (!Number.isSafeInteger(count) || count < 1 || first < IDENTITY_STRIDE || this.last > IDENTITY_MAX) {
      throw new ConfigurationError(`${String(count)} identities from ${String(first)} on do not exist`);
    }
  }

  /** The greatest identity; `first` in a block of one. */
  get last(): bigint {
    return this.first + BigInt(this.count - 1) * IDENTITY_STRIDE;
  }

  /** The identities in increasing order. */
  *[Symbol.iterator](): Generator<bigint, void, undefined> {
    let identity = this.first;
    for (let given = 0; given < this.count; given += 1) {
      yield identity;
      identity += IDENTITY_STRIDE;
    }
  }
}
