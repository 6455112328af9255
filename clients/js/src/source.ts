/** A source, which keeps a block of identities and takes the next one ahead of need. */

import { Alarm } from './alarm.js';
import { onAbort } from './cancelling.js';
import { Caller, closedError } from './caller.js';
import { Demand } from './demand.js';
import { checkIdentity, IDENTITY_STRIDE } from './identity.js';
import { IN_FLIGHT_MAX, REFILL_MIN, TAKES_BETWEEN_LOOKS } from './limits.js';
import { settingsOf, sourceSettingsOf, type CallOptions, type SourceOptions } from './options.js';
import { Stock } from './stock.js';
import { Watch, type Counters } from './watching.js';

/** A call that waits for a refill. */
interface Waiter {
  give(identity: bigint): void;
  fail(error: unknown): void;
}

/** A refill that is under way. */
interface Refill {
  /** How many identities were not asked for yet. */
  wanted: number;
  /** How many requests have no answer yet. */
  requests: number;
  /** How many identities have come. */
  came: number;
  /** Why a part of it has failed, if one has. */
  error: { readonly reason: unknown } | undefined;
}

/**
 * Hands out identities from a block that it keeps, and takes the next block ahead of need. Most calls take no network.
 *
 * What it returns increases strictly, over all tasks that share it. There is no order between two sources. What it holds
 * at the end is never used. It keeps the process alive only while a call waits.
 *
 * ```ts
 * const source = new Source(['id1.example', 'id2.example']);
 * const identity = source.tryNext() ?? (await source.next());
 * await source.close();
 * ```
 */
export class Source implements AsyncDisposable {
  readonly #watch: Watch;
  readonly #caller: Caller;
  readonly #callTimeoutMs: number;
  readonly #blockAgeMaxMs: number;
  readonly #demand: Demand;
  readonly #stock = new Stock();
  // A set keeps the order in which calls came, and one that is cancelled leaves it at once.
  readonly #waiters = new Set<Waiter>();
  #refill: Refill | undefined;
  /** When no more than so many are held, the next refill begins. */
  #low = 0;
  /** The newest that was returned or observed. */
  #newest: bigint | undefined;
  /** The newest that was taken from a server. */
  #fetched = 0n;
  /** How many more identities may be taken before the clock is looked at. */
  #takesUnlooked = 0;

  /**
   * A source of these servers. Each is `HOST`, `HOST:PORT` or `[IPV6]:PORT`, with `tls://` before it if it is to be
   * spoken to by TLS. Nothing is looked up or connected before the first call.
   *
   * @throws {ConfigurationError} A server or an option is wrong.
   */
  constructor(servers: string | Iterable<string>, options: SourceOptions = {}) {
    const settings = settingsOf(servers, options);
    const { blockAgeMaxMs, blockMax } = sourceSettingsOf(options);
    this.#callTimeoutMs = settings.callTimeoutMs;
    this.#blockAgeMaxMs = blockAgeMaxMs;
    this.#demand = new Demand(blockMax);
    this.#watch = new Watch(options);
    this.#caller = new Caller(settings, this.#watch, {
      alwaysHello: true,
      newest: () => this.#floor(this.#fetched),
      doubted: (pid) => {
        this.#drop(this.#stock.dropPid(pid));
      },
    });
  }

  /**
   * One identity, greater than all that this source has returned or observed before. It waits only if none is held.
   *
   * It rejects with an `UnavailableError`, `RefusedError`, `WrongClusterError`, `ProtocolError` or `ClosedError`, or with
   * the reason of the signal.
   */
  next({ signal }: CallOptions = {}): Promise<bigint> {
    if (signal?.aborted === true || this.#caller.isClosed) {
      return new Promise((_, reject) => {
        reject(signal?.aborted === true ? (signal.reason as Error) : closedError());
      });
    }
    const identity = this.#take();
    return identity === undefined ? this.#wait(signal) : Promise.resolve(identity);
  }

  /**
   * One identity at once, or `undefined` if none is held. Then it has begun to take some, and `next` waits for them. Where
   * it says nothing else, it is like `next`, but takes tens of nanoseconds, because no promise has to be kept.
   *
   * @throws {ClosedError} The source was closed.
   */
  tryNext(): bigint | undefined {
    if (this.#caller.isClosed) {
      throw closedError();
    }
    const identity = this.#take();
    if (identity === undefined) {
      this.#beginRefill();
    }
    return identity;
  }

  /**
   * Tells of an identity that came another way: what this source returns from now on is greater. If it is not below the
   * next one that is held, all that is held is dropped.
   *
   * @throws {ConfigurationError} It is no identity.
   */
  observe(identity: bigint): void {
    checkIdentity(identity);
    if (this.#newest !== undefined && identity <= this.#newest) {
      return;
    }
    this.#newest = identity;
    const { next } = this.#stock;
    if (next !== undefined && next <= identity) {
      this.#drop(this.#stock.dropAll());
    }
  }

  /** The newest identity that this source has returned, or was told by `observe`. */
  get newest(): bigint | undefined {
    return this.#newest;
  }

  /** What has happened so far. It does not change any more. */
  get counters(): Counters {
    return { ...this.#watch.counters };
  }

  /**
   * Drops what is held and closes the connections. Calls that wait, and further ones, reject with a `ClosedError`. The
   * promise is kept when the connections are closed, which takes a second at most.
   */
  close(): Promise<void> {
    this.#drop(this.#stock.dropAll());
    const closed = this.#caller.close();
    this.#failAll(closedError());
    return closed;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #take(): bigint | undefined {
    if (this.#takesUnlooked === 0) {
      this.#look();
    }
    this.#takesUnlooked -= 1;
    const identity = this.#stock.take();
    if (identity !== undefined) {
      this.#newest = identity;
      this.#watch.counters.identities += 1;
      if (this.#stock.count <= this.#low) {
        this.#beginRefill();
      }
    }
    return identity;
  }

  /**
   * Drops what has become too old. The clock is looked at once in each turn of the event loop, because a look costs
   * several times what an identity does, and in one turn nothing grows old.
   */
  #look(): void {
    this.#takesUnlooked = TAKES_BETWEEN_LOOKS;
    this.#drop(this.#stock.dropOlder(performance.now() - this.#blockAgeMaxMs));
    setImmediate(() => {
      this.#takesUnlooked = 0;
    });
  }

  #wait(signal: AbortSignal | undefined): Promise<bigint> {
    this.#watch.counters.waits += 1;
    return new Promise((resolve, reject) => {
      const ms = this.#callTimeoutMs;
      const end = (): void => {
        this.#waiters.delete(waiter);
        alarm.stop();
        stopListening?.();
      };
      const waiter: Waiter = {
        give: (identity) => {
          end();
          resolve(identity);
        },
        fail: (error) => {
          end();
          reject(error);
        },
      };
      const alarm = new Alarm(ms, true, () => {
        waiter.fail(
          this.#caller.unavailable(() => undefined, `no answer within the ${String(ms)} ms of the call`),
        );
      });
      const stopListening =
        signal &&
        onAbort(signal, () => {
          waiter.fail(signal.reason);
        });
      this.#waiters.add(waiter);
      this.#beginRefill();
    });
  }

  #beginRefill(): void {
    if (this.#refill === undefined && !this.#caller.isClosed) {
      const size = this.#demand.next(performance.now(), this.#waiters.size, this.#watch.counters.dropped);
      this.#refill = { wanted: size, requests: 0, came: 0, error: undefined };
      this.#ask(this.#refill);
    }
  }

  /** Asks for what is still wanted, with as many requests as that takes. */
  #ask(refill: Refill): void {
    const portion = Math.max(this.#caller.countMax ?? REFILL_MIN, 1);
    // As long as no server has said how many it gives at once, one request tells.
    const requestsMax = this.#caller.countMax === undefined ? 1 : IN_FLIGHT_MAX;
    const counts: number[] = [];
    while (refill.wanted > 0 && counts.length < requestsMax) {
      const count = Math.min(refill.wanted, portion);
      refill.wanted -= count;
      counts.push(count);
    }
    refill.requests = counts.length;
    for (const count of counts) {
      this.#caller.call({
        count,
        isElastic: true,
        keepsAlive: false,
        signal: undefined,
        done: (first, came) => {
          refill.wanted += count - came;
          this.#receive(refill, first, came);
        },
        failed: (reason) => {
          refill.error ??= { reason };
          this.#settle(refill);
        },
      });
    }
  }

  #receive(refill: Refill, first: bigint, count: number): void {
    const now = performance.now();
    refill.came += count;
    if (this.#caller.isClosed || first <= this.#floor(this.#fetched)) {
      // It was observed meanwhile that others are further, or it comes late, from a server that was left.
      this.#drop(count);
      refill.wanted += count;
    } else {
      this.#stock.add(first, count, now);
      this.#fetched = first + BigInt(count - 1) * IDENTITY_STRIDE;
    }
    this.#settle(refill);
  }

  /** One request of a refill has its answer. */
  #settle(refill: Refill): void {
    refill.requests -= 1;
    if (refill.requests === 0) {
      if (refill.wanted > 0 && refill.error === undefined && !this.#caller.isClosed) {
        this.#ask(refill);
      } else {
        this.#endRefill(refill);
      }
    }
    this.#serve();
    if (this.#refill === undefined && this.#waiters.size > 0) {
      if (refill.error === undefined) {
        this.#beginRefill();
      } else {
        this.#failAll(refill.error.reason);
      }
    }
  }

  #endRefill(refill: Refill): void {
    this.#refill = undefined;
    if (refill.came > 0) {
      this.#demand.succeeded();
      this.#low = Math.floor(refill.came / 2);
      this.#watch.refilled(refill.came);
    }
  }

  /** Gives what is held to those who wait. */
  #serve(): void {
    for (const waiter of this.#waiters) {
      const identity = this.#take();
      if (identity === undefined) {
        return;
      }
      waiter.give(identity);
    }
  }

  #failAll(error: unknown): void {
    for (const waiter of this.#waiters) {
      waiter.fail(error);
    }
  }

  #drop(identities: number): void {
    this.#watch.counters.dropped += identities;
  }

  /** This identity, or the newest that was returned or observed, if that is greater. */
  #floor(identity: bigint): bigint {
    return this.#newest !== undefined && this.#newest > identity ? this.#newest : identity;
  }
}
