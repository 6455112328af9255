/** Which server is asked next, and how long to wait when none has answered. It does no I/O and reads no clock. */

import { AVOID_FIRST_MS, AVOID_MAX_MS, PAUSE_FIRST_MS, PAUSE_MAX_MS } from './limits.js';

interface Place {
  /** How often it has failed since it answered last. */
  failuresInRow: number;
  /** Until when it is avoided, on the clock of the caller in milliseconds. */
  avoidedUntil: number;
}

/** What is remembered of the servers of a list. They are named by their place in it, from 0. */
export class Failover {
  readonly #places: Place[];
  #current: number;

  /** A list of so many servers, of which this one is tried first. */
  constructor(count: number, first: number) {
    this.#places = Array.from({ length: count }, () => ({ failuresInRow: 0, avoidedUntil: -Infinity }));
    this.#current = first;
  }

  /** The server that answered last, or is tried first. */
  get current(): number {
    return this.#current;
  }

  /**
   * The next server for a call that has tried these, or `undefined` if they are all. Servers that are not avoided
   * come first, from the current one on; then the others, the one whose time is over first.
   */
  next(tried: ReadonlySet<number>, now: number): number | undefined {
    const count = this.#places.length;
    let best: number | undefined;
    let bestUntil = Infinity;
    for (let step = 0; step < count; step += 1) {
      const server = (this.#current + step) % count;
      if (tried.has(server)) {
        continue;
      }
      const until = this.#places[server]?.avoidedUntil ?? -Infinity;
      if (until <= now) {
        return server;
      }
      if (until < bestUntil) {
        best = server;
        bestUntil = until;
      }
    }
    return best;
  }

  /** This server has answered: it is not avoided any more, and calls stay with it. */
  answered(server: number): void {
    this.#current = server;
    const place = this.#places[server];
    if (place !== undefined && place.failuresInRow > 0) {
      place.failuresInRow = 0;
      place.avoidedUntil = -Infinity;
    }
  }

  /** This server has failed: it is avoided, twice as long with each failure in a row. */
  failed(server: number, now: number): void {
    const place = this.#places[server];
    if (place !== undefined) {
      place.avoidedUntil = now + doubled(AVOID_FIRST_MS, place.failuresInRow, AVOID_MAX_MS);
      place.failuresInRow += 1;
    }
  }
}

/**
 * How long to wait before a further round over all servers, in milliseconds. `rounds` is how many waits there were
 * before this one, and `random` is 0 to 1. All of the wait is random ("full jitter": M. Brooker, "Exponential
 * Backoff And Jitter", AWS Architecture Blog, 2015), so that clients that failed together do not come back together.
 */
export function pauseMs(rounds: number, random: number): number {
  return random * doubled(PAUSE_FIRST_MS, rounds, PAUSE_MAX_MS);
}

function doubled(first: number, times: number, most: number): number {
  // 2 ** times is Infinity in the end, which is still more than the most.
  return Math.min(first * 2 ** times, most);
}
