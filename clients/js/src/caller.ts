/**
 * Calls, over all servers and all tries. It keeps at most one connection to each server, and knows nothing of what
 * identities are used for.
 */

import { Alarm } from './alarm.js';
import { onAbort } from './cancelling.js';
import { Connection, type Ask, type Outcome, type Owner } from './connection.js';
import { ClosedError, UnavailableError, type ServerFailure } from './errors.js';
import { Failover, pauseMs } from './failover.js';
import type { Failure } from './failure.js';
import type { Settings } from './options.js';
import type { Watch } from './watching.js';

/** What is asked for, and who is told what came of it. */
export interface Order {
  /** How many identities are wanted. */
  readonly count: number;
  /** Whether fewer will do, if the server gives fewer at once. */
  readonly isElastic: boolean;
  /** Whether the process must not end before the call has. */
  readonly keepsAlive: boolean;
  readonly signal: AbortSignal | undefined;
  /** Is told of the identities `first`, `first + 1024`, ... */
  done(first: bigint, count: number): void;
  /** Is told why there are none: an error of this library, or the reason of the signal. */
  failed(error: unknown): void;
}

/** What a caller needs of the one for whom it calls. */
export interface Customer {
  /** Whether it needs to know how many identities a server gives at once. */
  readonly alwaysHello: boolean;
  /** The newest identity that is known. */
  newest(): bigint;
  /** A server is in doubt about what was handed out with this pid. */
  doubted(pid: number): void;
}

/** Calls servers. */
export class Caller implements Owner {
  readonly #settings: Settings;
  readonly #watch: Watch;
  readonly #customer: Customer;
  readonly #failover: Failover;
  /** The connection to each server, by its place in the list. */
  readonly #connections: (Connection | undefined)[];
  /** What is known of each server. */
  readonly #known: { cause: string | undefined; pid: number | undefined }[];
  readonly #calls = new Set<Call>();
  #isClosed = false;

  constructor(settings: Settings, watch: Watch, customer: Customer) {
    this.#settings = settings;
    this.#watch = watch;
    this.#customer = customer;
    this.#failover = new Failover(settings.servers.length, settings.first);
    this.#connections = settings.servers.map(() => undefined);
    this.#known = settings.servers.map(() => ({ cause: undefined, pid: undefined }));
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The most identities that the current server gives at once, if it is connected and has said so. */
  get countMax(): number | undefined {
    return this.#connections[this.#failover.current]?.countMax;
  }

  /** Begins a call. */
  call(order: Order): void {
    if (this.#isClosed) {
      order.failed(closedError());
      return;
    }
    if (order.signal?.aborted === true) {
      order.failed(order.signal.reason);
      return;
    }
    const call = new Call(this, this.#settings.callTimeoutMs, order, () => this.#calls.delete(call));
    this.#calls.add(call);
    call.route();
  }

  /** Ends all calls and closes all connections. The promise is kept when they are closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const call of this.#calls) {
      call.fail(closedError());
    }
    const closed = this.#connections.map(async (connection) => connection?.close());
    this.#connections.fill(undefined);
    await Promise.all(closed);
  }

  /**
   * The error that says that no server has answered, with what has happened at each: what the call has seen there, or
   * what others have seen there last, or else `otherwise`.
   */
  unavailable(causeOf: (server: number) => string | undefined, otherwise: string): UnavailableError {
    const failures: ServerFailure[] = this.#settings.servers.map(({ text }, server) => ({
      server: text,
      cause: causeOf(server) ?? this.#known[server]?.cause ?? otherwise,
    }));
    const list = failures.map(({ server, cause }) => `${server}: ${cause}`).join('; ');
    const isOne = failures.length === 1;
    const many = isOne ? '' : `none of ${String(failures.length)} servers answered: `;
    const advice = `try again later; if it goes on, look at the server${isOne ? '' : 's'}`;
    return new UnavailableError(`${many}${list} (${advice})`, failures);
  }

  /** The next server for a call that has tried these. */
  next(tried: ReadonlySet<number>): number | undefined {
    return this.#failover.next(tried, performance.now());
  }

  /** The connection to a server; a new one if there is none that can be used. */
  connectionTo(server: number): Connection {
    let connection = this.#connections[server];
    if (connection?.isStale(performance.now()) === true) {
      void connection.close();
      connection = undefined;
    }
    if (connection === undefined) {
      const address = this.#settings.servers[server];
      if (address === undefined) {
        throw new RangeError(`there is no server ${String(server)}`);
      }
      connection = new Connection(server, address, this.#settings, this);
      this.#connections[server] = connection;
    }
    return connection;
  }

  get alwaysHello(): boolean {
    return this.#customer.alwaysHello;
  }

  newest(): bigint {
    return this.#customer.newest();
  }

  wrote(requests: number): void {
    this.#watch.counters.requests += requests;
  }

  opened(connection: Connection): void {
    this.#watch.connected(this.#textOf(connection.server));
  }

  answered(connection: Connection): void {
    this.#failover.answered(connection.server);
    const known = this.#known[connection.server];
    if (known !== undefined) {
      known.cause = undefined;
      known.pid = connection.pid ?? known.pid;
    }
  }

  failed(connection: Connection, { cause }: Failure): void {
    this.ended(connection);
    this.#failover.failed(connection.server, performance.now());
    const known = this.#known[connection.server];
    if (known !== undefined) {
      known.cause = cause;
    }
    this.#watch.failed(this.#textOf(connection.server), cause);
  }

  ended(connection: Connection): void {
    if (this.#connections[connection.server] === connection) {
      this.#connections[connection.server] = undefined;
    }
  }

  doubted(connection: Connection): void {
    const pid = connection.pid ?? this.#known[connection.server]?.pid;
    if (pid !== undefined) {
      this.#customer.doubted(pid);
    }
  }

  #textOf(server: number): string {
    return this.#settings.servers[server]?.text ?? '';
  }
}

/** One call, from server to server until one answers or its time is over. */
class Call implements Ask {
  readonly count: number;
  readonly isElastic: boolean;
  asked = 0;
  after = 0n;
  isOver = false;
  readonly #caller: Caller;
  readonly #order: Order;
  readonly #ended: () => void;
  readonly #alarm: Alarm;
  readonly #stopListening: (() => void) | undefined;
  /** The servers that were tried in this round. */
  readonly #tried = new Set<number>();
  /** What has happened at each server the last time, by its place in the list. */
  readonly #failures = new Map<number, Failure>();
  #server = 0;
  /** Whether a connection was made again after it was found closed. */
  #wasRemade = false;
  #rounds = 0;
  #pause: NodeJS.Timeout | undefined;

  constructor(caller: Caller, ms: number, order: Order, ended: () => void) {
    this.count = order.count;
    this.isElastic = order.isElastic;
    this.#caller = caller;
    this.#order = order;
    this.#ended = ended;
    this.#alarm = new Alarm(ms, order.keepsAlive, () => {
      this.fail(this.#unavailable(`no answer within the ${String(ms)} ms of the call`));
    });
    const { signal } = order;
    if (signal !== undefined) {
      this.#stopListening = onAbort(signal, () => {
        this.fail(signal.reason);
      });
    }
  }

  /** Asks the next server. */
  route(): void {
    const server = this.#caller.next(this.#tried);
    if (server === undefined) {
      this.#endRound();
      return;
    }
    this.#server = server;
    this.#caller.connectionTo(server).submit(this);
  }

  settle(outcome: Outcome): void {
    if (this.isOver) {
      return;
    }
    switch (outcome.kind) {
      case 'identities':
        this.#end();
        this.#order.done(outcome.first, outcome.count);
        break;
      case 'error':
        this.fail(outcome.error);
        break;
      case 'elsewhere':
        this.#goOn(outcome.failure);
        break;
      case 'again':
        this.#askAgain();
        break;
    }
  }

  /** Ends the call with an error. A request that is under way is still answered, and the answer is thrown away. */
  fail(error: unknown): void {
    if (!this.isOver) {
      this.#end();
      this.#order.failed(error);
    }
  }

  #end(): void {
    this.isOver = true;
    this.#alarm.stop();
    clearTimeout(this.#pause);
    this.#stopListening?.();
    this.#ended();
  }

  #goOn(reason: Failure): void {
    this.#failures.set(this.#server, reason);
    this.#tried.add(this.#server);
    this.route();
  }

  #askAgain(): void {
    if (this.#wasRemade) {
      this.#goOn({ cause: 'the server closed the connection without a reply', isHopeless: false });
    } else {
      this.#wasRemade = true;
      this.#caller.connectionTo(this.#server).submit(this);
    }
  }

  /** All servers have failed. Waits and asks them again, if that can help. */
  #endRound(): void {
    if ([...this.#failures.values()].every(({ isHopeless }) => isHopeless)) {
      this.fail(this.#unavailable(undefined));
      return;
    }
    this.#pause = setTimeout(
      () => {
        this.#tried.clear();
        this.route();
      },
      pauseMs(this.#rounds, Math.random()),
    );
    // The alarm of the call keeps the process alive, if that is wanted.
    this.#pause.unref();
    this.#rounds += 1;
  }

  #unavailable(atCurrent: string | undefined): UnavailableError {
    return this.#caller.unavailable(
      (server) => this.#failures.get(server)?.cause ?? (server === this.#server ? atCurrent : undefined),
      'it was not asked, because the time of the call was over',
    );
  }
}

/** The error of a call on something that was closed. */
export function closedError(): ClosedError {
  return new ClosedError('the client or source was closed (make a new one to go on)');
}
