/** A client, which asks a server for each call. */

import { Block } from './block.js';
import { Caller } from './caller.js';
import { checkIdentity, IDENTITY_STRIDE } from './identity.js';
import { COUNT_MAX } from './limits.js';
import { integer, settingsOf, type CallOptions, type ClientOptions } from './options.js';
import { Watch, type Counters } from './watching.js';

/**
 * Takes identities from the first of several servers that answers, with a request for each call.
 *
 * What a call returns is greater than all that this client had seen when the call began, whichever server answers. Any
 * number of calls may be under way at once: their requests share a connection. It connects with its first call. It keeps
 * the process alive only while a call waits.
 *
 * ```ts
 * const client = new Client(['id1.example', 'id2.example']);
 * const identity = await client.next();
 * await client.close();
 * ```
 */
export class Client implements AsyncDisposable {
  readonly #watch: Watch;
  readonly #caller: Caller;
  #newest: bigint | undefined;

  /**
   * A client of these servers. Each is `HOST`, `HOST:PORT` or `[IPV6]:PORT`, with `tls://` before it if it is to be
   * spoken to by TLS. Nothing is looked up or connected before the first call.
   *
   * @throws {ConfigurationError} A server or an option is wrong.
   */
  constructor(servers: string | Iterable<string>, options: ClientOptions = {}) {
    this.#watch = new Watch(options);
    this.#caller = new Caller(settingsOf(servers, options), this.#watch, {
      alwaysHello: false,
      newest: () => this.#newest ?? 0n,
      doubted: () => undefined,
    });
  }

  /**
   * One identity.
   *
   * It rejects with an `UnavailableError`, `RefusedError`, `WrongClusterError`, `ProtocolError` or `ClosedError`, or with
   * the reason of the signal.
   */
  next(options: CallOptions = {}): Promise<bigint> {
    return this.#call(1, options, (first) => first);
  }

  /**
   * A block of `count` identities, with one request. A server refuses 0, and more than its `--max-count`, which is 1000
   * unless its operator has set another.
   *
   * It rejects as `next`, and with a `ConfigurationError` if the count is not an integer from 0 to 2^32 - 1.
   */
  async block(count: number, options: CallOptions = {}): Promise<Block> {
    integer('count', count, 0, COUNT_MAX);
    return this.#call(count, options, (first) => new Block(first, count));
  }

  /**
   * Tells of an identity that came another way: what this client returns from now on is greater. A server refuses
   * (`advanceTooLarge`) one that is too far ahead of its own.
   *
   * @throws {ConfigurationError} It is no identity.
   */
  observe(identity: bigint): void {
    checkIdentity(identity);
    this.#raise(identity);
  }

  /** The newest identity that this client has seen, returned or told by `observe`. */
  get newest(): bigint | undefined {
    return this.#newest;
  }

  /** What has happened so far. It does not change any more. */
  get counters(): Counters {
    return { ...this.#watch.counters };
  }

  /**
   * Closes the connections. Calls that are under way, and further ones, reject with a `ClosedError`. The promise is kept
   * when the connections are closed, which takes a second at most.
   */
  close(): Promise<void> {
    return this.#caller.close();
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #call<Result>(count: number, { signal }: CallOptions, result: (first: bigint) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#caller.call({
        count,
        isElastic: false,
        keepsAlive: true,
        signal,
        done: (first) => {
          this.#watch.counters.identities += count;
          this.#raise(first + BigInt(count - 1) * IDENTITY_STRIDE);
          resolve(result(first));
        },
        failed: reject,
      });
    });
  }

  #raise(identity: bigint): void {
    if (this.#newest === undefined || identity > this.#newest) {
      this.#newest = identity;
    }
  }
}
