/**
 * One connection to one server. It writes all requests and reads all replies, so nobody can take the reply of
 * another. It checks what comes, and never tries another server.
 */

import type { Socket } from 'node:net';

import type { ServerAddress } from './address.js';
import { Alarm } from './alarm.js';
import { actionOf, adviceOn, BAD_COUNT, closes, isDoubtful, nameOf } from './codes.js';
import { Dial } from './dial.js';
import { ProtocolError, RefusedError, WrongClusterError, type IpseityError } from './errors.js';
import { codeOf, failure, hopeless, isTls, messageOf, refusal, tlsFailure, type Failure } from './failure.js';
import {
  encode,
  FrameError,
  FrameReader,
  IDENTITY_REQUEST_BYTES_MAX,
  writeIdentityRequest,
  type ErrorReply,
  type HelloReply,
  type IdentityReply,
  type Reply,
} from './frames.js';
import { IDENTITY_MAX, IDENTITY_STRIDE, pidOf } from './identity.js';
import { CLOSE_MAX_MS, IN_FLIGHT_MAX, REFILL_MIN } from './limits.js';
import type { Settings } from './options.js';
import { Queue } from './queue.js';
import { plain, quoted } from './text.js';

/** What came of an {@link Ask} on a connection. */
export type Outcome =
  /** Identities: `first`, `first + 1024`, ... */
  | { readonly kind: 'identities'; readonly first: bigint; readonly count: number }
  /** The server has failed. Another one may answer. */
  | { readonly kind: 'elsewhere'; readonly failure: Failure }
  /** The connection ended without any fault of the server, which may be asked again. */
  | { readonly kind: 'again' }
  /** The call ends, and no other server is asked. */
  | { readonly kind: 'error'; readonly error: IpseityError };

/** One request for identities. */
export interface Ask {
  /** How many are wanted. */
  readonly count: number;
  /** Whether fewer will do: then no more are asked for than the server gives at once. */
  readonly isElastic: boolean;
  /** How many were asked for, once it is written. */
  asked: number;
  /** The identity that they must be greater than, once it is written. */
  after: bigint;
  /** Whether nobody waits for it any more. */
  readonly isOver: boolean;
  /** Is told once what came of it. */
  settle(outcome: Outcome): void;
}

/** The one who owns a connection, and is told of what concerns more than one request. */
export interface Owner {
  /** Whether each connection begins with a hello, even if no cluster was named. */
  readonly alwaysHello: boolean;
  /** The newest identity that is known, for a request that is written now. */
  newest(): bigint;
  /** So many requests were written. */
  wrote(requests: number): void;
  /** The connection is there. */
  opened(connection: Connection): void;
  /** The server has answered a request. */
  answered(connection: Connection): void;
  /** The server has failed, and the connection has ended. It is said before the requests on it are settled. */
  failed(connection: Connection, failure: Failure): void;
  /** The connection has ended, and its server has not failed. */
  ended(connection: Connection): void;
  /** The server is in doubt about what was handed out with its pid. */
  doubted(connection: Connection): void;
}

/** A connection, from dialing to its end. */
export class Connection {
  readonly #address: ServerAddress;
  readonly #settings: Settings;
  readonly #owner: Owner;
  readonly #reader = new FrameReader();
  /** Requests that are not written yet. */
  readonly #waiting = new Queue<Ask>();
  /** Requests that have no reply yet, the oldest first. */
  readonly #inFlight = new Queue<Ask>();
  #state: 'dialing' | 'open' | 'ended' = 'dialing';
  #dial: Dial | undefined;
  #socket: Socket | undefined;
  /** The hello goes in front of the first request, and its reply comes in front of the first reply. */
  #hello: 'unsent' | 'sent' | 'done';
  #isFlushPlanned = false;
  /** Whether a request on it was answered. */
  #wasUsed = false;
  /** Since when nothing is under way on it, in milliseconds on the monotonic clock. */
  #idleSince = 0;
  #pid: number | undefined;
  #countMax: number | undefined;
  /** The newest identity that came on it. */
  #last = 0n;
  /** Measures the reply that comes next. It runs on while there is none to come, since starting it anew costs more. */
  #replyAlarm: Alarm | undefined;
  #idleAlarm: Alarm | undefined;
  /** How the server broke the protocol when nobody waited. The next request is told. */
  #verdict: IpseityError | undefined;

  constructor(
    /** The place of its server in the list. */
    readonly server: number,
    address: ServerAddress,
    settings: Settings,
    owner: Owner,
  ) {
    this.#address = address;
    this.#settings = settings;
    this.#owner = owner;
    this.#hello = settings.cluster !== undefined || owner.alwaysHello ? 'unsent' : 'done';
    this.#dial = new Dial(address, settings, (dialed) => {
      this.#dial = undefined;
      if (dialed.kind === 'connected') {
        this.#open(dialed.socket);
      } else {
        this.#fail(dialed.failure);
      }
    });
  }

  /** The most identities that one request may ask for, or `undefined` as long as the server has not said it. */
  get countMax(): number | undefined {
    return this.#countMax;
  }

  /** The pid of the server, or `undefined` as long as nothing has told it. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Whether it was idle for so long that it should not be used again. */
  isStale(now: number): boolean {
    return (
      this.#state === 'open' &&
      !this.#isAwaiting() &&
      this.#waiting.length === 0 &&
      now - this.#idleSince >= this.#settings.idleMaxMs
    );
  }

  /** Puts a request into line. It is written together with all others that come in the same turn. */
  submit(ask: Ask): void {
    if (this.#state === 'open' && !this.#isAwaiting() && this.#reader.pending > 0) {
      this.#violate(`${String(this.#reader.pending)} bytes came that nothing had asked for`);
    }
    if (this.#verdict !== undefined) {
      this.#owner.ended(this);
      ask.settle({ kind: 'error', error: this.#verdict });
      return;
    }
    this.#waiting.push(ask);
    if (this.#state === 'open' && !this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      queueMicrotask(() => {
        this.#isFlushPlanned = false;
        this.#flush();
      });
    }
  }

  /**
   * Ends the connection. What was written is still sent, and nothing that comes is looked at. It tells nobody, neither
   * the owner nor those who wait. The promise is kept when the socket is closed.
   */
  close(): Promise<void> {
    const socket = this.#socket;
    this.#end();
    if (socket === undefined || socket.closed) {
      return Promise.resolve();
    }
    // Now somebody waits for it.
    socket.ref();
    return new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
      });
    });
  }

  #open(socket: Socket): void {
    this.#socket = socket;
    this.#state = 'open';
    socket.on('data', (chunk) => {
      this.#read(chunk);
    });
    socket.on('end', () => {
      this.#closedByServer();
    });
    socket.on('error', (error) => {
      this.#broken(error);
    });
    socket.on('close', () => {
      this.#closedByServer();
    });
    this.#owner.opened(this);
    this.#becomeIdle();
    this.#flush();
  }

  /** Whether something is still to come. */
  #isAwaiting(): boolean {
    return this.#inFlight.length > 0 || this.#hello === 'sent';
  }

  /** Writes as many requests as may be under way, in one piece. */
  #flush(): void {
    if (this.#state !== 'open' || this.#socket === undefined) {
      return;
    }
    const room = Math.min(this.#waiting.length, IN_FLIGHT_MAX - this.#inFlight.length);
    if (room <= 0) {
      return;
    }
    const wasAwaiting = this.#isAwaiting();
    const after = this.#owner.newest();
    const bytes = Buffer.allocUnsafe(room * IDENTITY_REQUEST_BYTES_MAX);
    let end = 0;
    let requests = 0;
    while (requests < room) {
      const ask = this.#nextToWrite();
      if (ask === undefined) {
        break;
      }
      ask.asked = ask.isElastic ? this.#portion(ask.count) : ask.count;
      ask.after = after;
      end += writeIdentityRequest(bytes, end, ask.asked, after);
      this.#inFlight.push(ask);
      requests += 1;
    }
    if (requests === 0) {
      return;
    }
    const written = bytes.subarray(0, end);
    if (this.#hello === 'unsent') {
      this.#hello = 'sent';
      const hello = encode({ kind: 'helloRequest', cluster: this.#settings.cluster ?? '' });
      this.#socket.write(Buffer.concat([hello, written]));
    } else {
      this.#socket.write(written);
    }
    this.#owner.wrote(requests);
    if (!wasAwaiting) {
      this.#expectReply();
    }
  }

  /** Takes the next request from the line, if it can be written now. */
  #nextToWrite(): Ask | undefined {
    while (this.#waiting.peek()?.isOver === true) {
      this.#waiting.shift();
    }
    const ask = this.#waiting.peek();
    // Until the server has said how many it gives at once, one elastic request is enough to begin with.
    if (ask?.isElastic === true && this.#hello !== 'done' && this.#inFlight.length > 0) {
      return undefined;
    }
    return this.#waiting.shift();
  }

  /** How many identities to ask for where fewer will do. */
  #portion(count: number): number {
    return Math.min(count, Math.max(this.#countMax ?? REFILL_MIN, 1));
  }

  #expectReply(): void {
    const ms = this.#settings.replyTimeoutMs;
    if (this.#replyAlarm !== undefined) {
      this.#replyAlarm.restart();
      return;
    }
    this.#replyAlarm = new Alarm(ms, false, () => {
      this.#replyAlarm = undefined;
      if (this.#isAwaiting()) {
        this.#fail(failure(`no reply within ${String(ms)} ms`));
      }
    });
  }

  #becomeIdle(): void {
    this.#idleSince = performance.now();
    if (this.#idleAlarm !== undefined) {
      this.#idleAlarm.restart();
      return;
    }
    this.#idleAlarm = new Alarm(this.#settings.idleMaxMs, false, () => {
      this.#idleAlarm = undefined;
      if (this.isStale(Infinity)) {
        this.#endQuietly();
      }
    });
  }

  #read(chunk: Buffer): void {
    this.#reader.push(chunk);
    let messages = 0;
    try {
      while (this.#state === 'open') {
        const message = this.#reader.next();
        if (message === undefined) {
          break;
        }
        messages += 1;
        this.#handle(message);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) {
        throw error;
      }
      this.#unreadable(error);
    }
    if (this.#state !== 'open' || messages === 0) {
      return;
    }
    if (this.#isAwaiting()) {
      this.#expectReply();
      this.#flush();
    } else {
      this.#becomeIdle();
      this.#flush();
    }
  }

  #handle(message: Reply): void {
    if (this.#hello === 'sent') {
      this.#handleHello(message);
      return;
    }
    const ask = this.#inFlight.shift();
    if (ask === undefined) {
      this.#handleUnasked(message);
      return;
    }
    switch (message.kind) {
      case 'identityReply':
        this.#handleIdentities(ask, message);
        break;
      case 'errorReply':
        this.#handleError(ask, message);
        break;
      case 'helloReply':
        this.#violate('helloReply came instead of identityReply', ask);
        break;
    }
  }

  #handleHello(message: Reply): void {
    switch (message.kind) {
      case 'helloReply':
        this.#meet(message);
        break;
      case 'errorReply':
        this.#hello = 'done';
        this.#handleRefusal(message);
        break;
      case 'identityReply':
        this.#violate('identityReply came instead of helloReply');
        break;
    }
  }

  #meet(server: HelloReply): void {
    const { cluster } = this.#settings;
    this.#hello = 'done';
    if (cluster !== undefined && server.cluster !== cluster) {
      this.#wrongCluster(
        `this server is of cluster ${quoted(server.cluster)}, and the client expects ${quoted(cluster)}`,
      );
      return;
    }
    this.#pid = server.pid;
    this.#countMax = server.countMax;
  }

  /** The server has refused the hello, and so everybody who waits here. */
  #handleRefusal(reply: ErrorReply): void {
    switch (actionOf(reply.code)) {
      case 'elsewhere':
        this.#leave(reply);
        break;
      case 'wrongCluster':
        this.#wrongCluster(plain(reply.message));
        break;
      case 'refused':
        this.#endWith(this.#refused(reply));
        break;
    }
  }

  #handleUnasked(message: Reply): void {
    if (message.kind !== 'errorReply' || !closes(message.code)) {
      this.#violate(`${message.kind} came, and nothing had asked for it`);
    } else if (actionOf(message.code) === 'elsewhere') {
      this.#leave(message);
    } else {
      this.#endQuietly();
    }
  }

  #handleIdentities(ask: Ask, { first, count }: IdentityReply): void {
    if (count !== ask.asked) {
      this.#violate(`asked for ${String(ask.asked)} identities, ${String(count)} came`, ask);
      return;
    }
    const last = first + BigInt(count - 1) * IDENTITY_STRIDE;
    if (count === 0 || first < IDENTITY_STRIDE || last > IDENTITY_MAX) {
      this.#violate(`${String(count)} identities from ${first.toString()} on do not exist`, ask);
      return;
    }
    const before = this.#last > ask.after ? this.#last : ask.after;
    if (first <= before) {
      this.#violate(
        `identity ${first.toString()} is not greater than ${before.toString()}, which is known already`,
        ask,
      );
      return;
    }
    const pid = pidOf(first);
    if (this.#pid !== undefined && this.#pid !== pid) {
      this.#violate(
        `an identity of pid ${String(pid)} came from the server of pid ${String(this.#pid)}`,
        ask,
      );
      return;
    }
    this.#pid = pid;
    this.#last = last;
    this.#wasUsed = true;
    this.#owner.answered(this);
    ask.settle({ kind: 'identities', first, count });
  }

  #handleError(ask: Ask, reply: ErrorReply): void {
    switch (actionOf(reply.code)) {
      case 'elsewhere':
        this.#leave(reply, ask);
        return;
      case 'wrongCluster':
        this.#wrongCluster(plain(reply.message), ask);
        return;
      case 'refused':
        break;
    }
    this.#wasUsed = true;
    this.#owner.answered(this);
    if (reply.code === BAD_COUNT && ask.isElastic && ask.asked > this.#portion(ask.asked)) {
      // It was the first request, and now the server has said how many it gives.
      this.#waiting.push(ask);
    } else {
      ask.settle({ kind: 'error', error: this.#refused(reply) });
    }
    if (closes(reply.code)) {
      this.#endQuietly();
    }
  }

  #refused(reply: ErrorReply): RefusedError {
    return new RefusedError(
      `${this.#address.text} refused the request with ${nameOf(reply.code)}: ${plain(reply.message)} (${adviceOn(reply.code)})`,
      this.#address.text,
      reply.code,
    );
  }

  /** The server cannot serve now, and says so. */
  #leave(reply: ErrorReply, ask?: Ask): void {
    if (isDoubtful(reply.code)) {
      this.#owner.doubted(this);
    }
    this.#fail(refusal(reply), ask);
  }

  #wrongCluster(what: string, ask?: Ask): void {
    const server = this.#address.text;
    this.#endWith(
      new WrongClusterError(
        `${server} is of another cluster: ${what} (correct the list of servers, or the name of the cluster)`,
        server,
      ),
      ask,
    );
  }

  /**
   * The server broke the protocol. Those who wait for a reply are told, because nobody knows what belongs to whom. If
   * nobody waits, the next one is told.
   */
  #violate(what: string, ask?: Ask): void {
    const server = this.#address.text;
    const error = new ProtocolError(
      `${server} breaks the protocol: ${what} (check that it is an Ipseity server, and its version)`,
      server,
    );
    if (ask === undefined && !this.#isAwaiting()) {
      this.#verdict = error;
      this.#end();
      return;
    }
    this.#endWith(error, ask);
  }

  /** What bytes mean that are no frame. */
  #unreadable(error: FrameError): void {
    const bytes = this.#reader.peek();
    if (!this.#address.tls && (bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 0x03) {
      this.#fail(hopeless('it speaks TLS there: write tls:// before its address'));
    } else if (bytes.subarray(0, 3).toString('latin1') === 'HTT') {
      this.#violate('it speaks HTTP there: if it is an Ipseity server, ask the address of its --listen');
    } else {
      this.#violate(error.message);
    }
  }

  #broken(error: Error): void {
    if (this.#state !== 'open') {
      return;
    }
    if (isTls(error)) {
      this.#fail(tlsFailure(error, false));
    } else if (CLOSED.has(codeOf(error)) || !this.#isAwaiting()) {
      this.#closedByServer();
    } else {
      this.#fail(failure(`the connection failed: ${messageOf(error)}`));
    }
  }

  #closedByServer(): void {
    if (this.#state !== 'open') {
      return;
    }
    const bytes = this.#reader.pending;
    // If it was used before and nothing of a reply has come, it was closed while it was idle.
    if (!this.#isAwaiting() || (bytes === 0 && this.#wasUsed)) {
      this.#endQuietly();
    } else {
      this.#fail(
        failure(
          bytes === 0
            ? 'the server closed the connection without a reply'
            : `the server closed the connection ${String(bytes)} bytes into a reply`,
        ),
      );
    }
  }

  /** Ends it because the server has failed. All who wait go on to another one. */
  #fail(reason: Failure, ask?: Ask): void {
    const asks = this.#all(ask);
    this.#end();
    this.#owner.failed(this, reason);
    settle(asks, { kind: 'elsewhere', failure: reason });
  }

  /** Ends it, and the server has not failed. All who wait may ask it again. */
  #endQuietly(): void {
    const asks = this.#all();
    this.#end();
    this.#owner.ended(this);
    settle(asks, { kind: 'again' });
  }

  /** Ends it, and the calls of all who wait. */
  #endWith(error: IpseityError, ask?: Ask): void {
    const asks = this.#all(ask);
    this.#end();
    this.#owner.ended(this);
    settle(asks, { kind: 'error', error });
  }

  /** All who wait, the one whose reply has just come first. */
  #all(first?: Ask): Ask[] {
    return [...(first === undefined ? [] : [first]), ...this.#inFlight.drain(), ...this.#waiting.drain()];
  }

  #end(): void {
    this.#state = 'ended';
    this.#dial?.cancel();
    this.#replyAlarm?.stop();
    this.#idleAlarm?.stop();
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) {
      return;
    }
    // Close_notify and the end of the stream are sent, and then nobody waits for the other side.
    socket.destroySoon();
    const cut = setTimeout(() => socket.destroy(), CLOSE_MAX_MS);
    cut.unref();
    socket.once('close', () => {
      clearTimeout(cut);
    });
  }
}

/** What an error of a socket is called when the other side has closed. */
const CLOSED: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

function settle(asks: readonly Ask[], outcome: Outcome): void {
  for (const ask of asks) {
    ask.settle(outcome);
  }
}
