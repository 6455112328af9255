/**
 * Connecting to a server: looking up its name, connecting to the first of all its addresses that accepts, and the
 * TLS handshake, all within one time.
 *
 * Addresses are tried as RFC 8305 ("Happy Eyeballs") describes: attempts begin one after the other and go on side
 * by side. The `autoSelectFamily` of Node.js is not used, because it ends an attempt when it begins the next, so a
 * distant server with two addresses could not be reached at all.
 */

import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls } from 'node:tls';

import type { ServerAddress } from './address.js';
import { Alarm } from './alarm.js';
import { failure, messageOf, tlsFailure, type Failure } from './failure.js';
import { ATTEMPT_DELAY_MAX_MS, ATTEMPT_DELAY_MIN_MS } from './limits.js';
import { addressesOf, interleaved } from './lookup.js';
import type { Settings } from './options.js';

/** What came of dialing. */
export type Dialed =
  | { readonly kind: 'connected'; readonly socket: Socket }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** Dials a server, and says once what came of it. */
export class Dial {
  readonly #server: ServerAddress;
  readonly #settings: Settings;
  readonly #done: (dialed: Dialed) => void;
  readonly #deadline: number;
  readonly #alarm: Alarm;
  /** The sockets that are not handed on yet. */
  readonly #attempts = new Set<Socket>();
  readonly #errors: string[] = [];
  #addresses: string[] = [];
  /** The place of the address that is tried next. */
  #next = 0;
  #delay: NodeJS.Timeout | undefined;
  #tooLate: string;
  #isOver = false;

  constructor(server: ServerAddress, settings: Settings, done: (dialed: Dialed) => void) {
    this.#server = server;
    this.#settings = settings;
    this.#done = done;
    const ms = settings.connectTimeoutMs;
    this.#deadline = performance.now() + ms;
    this.#tooLate = `the name could not be looked up within ${String(ms)} ms`;
    this.#alarm = new Alarm(ms, false, () => {
      this.#fail(failure(this.#tooLate));
    });
    addressesOf(server.host).then(
      (addresses) => {
        this.#race(interleaved(addresses));
      },
      (error: unknown) => {
        this.#fail(
          failure(`cannot look up the name: ${error instanceof Error ? error.message : String(error)}`),
        );
      },
    );
  }

  /** Ends it without saying anything more. */
  cancel(): void {
    this.#isOver = true;
    this.#alarm.stop();
    clearTimeout(this.#delay);
    for (const socket of this.#attempts) {
      socket.destroy();
    }
    this.#attempts.clear();
  }

  #race(addresses: string[]): void {
    if (this.#isOver) {
      return;
    }
    if (addresses.length === 0) {
      this.#fail(failure('the name has no address'));
      return;
    }
    this.#addresses = addresses;
    this.#tooLate = `cannot connect to ${addresses.join(' or ')} within ${String(this.#settings.connectTimeoutMs)} ms`;
    this.#attempt();
  }

  /** Tries the next address. */
  #attempt(): void {
    const address = this.#addresses[this.#next];
    if (address === undefined) {
      return;
    }
    this.#next += 1;
    const socket = connect({
      host: address,
      port: this.#server.port,
      noDelay: true,
      autoSelectFamily: false,
    });
    // What keeps the process alive is a call that waits, and neither this socket nor TLS over it.
    socket.unref();
    // An error that nobody listens for would end the process, also one of an attempt that is given up.
    socket.on('error', ignore);
    this.#attempts.add(socket);
    socket.once('connect', () => {
      if (isOwnEnd(socket)) {
        socket.destroy(new Error('nobody listens there'));
      } else {
        this.#won(socket);
      }
    });
    socket.once('error', (error) => {
      this.#lost(socket, address, error);
    });
    const others = this.#addresses.length - this.#next;
    if (others > 0) {
      this.#delay = setTimeout(
        () => {
          this.#attempt();
        },
        delayMs(this.#deadline - performance.now(), others),
      );
      this.#delay.unref();
    }
  }

  #lost(socket: Socket, address: string, error: Error): void {
    if (this.#isOver || !this.#attempts.delete(socket)) {
      return;
    }
    this.#errors.push(this.#addresses.length === 1 ? messageOf(error) : `${address}: ${messageOf(error)}`);
    if (this.#errors.length === this.#addresses.length) {
      this.#fail(failure(`cannot connect: ${this.#errors.join(', ')}`));
      return;
    }
    clearTimeout(this.#delay);
    this.#attempt();
  }

  #won(socket: Socket): void {
    clearTimeout(this.#delay);
    this.#attempts.delete(socket);
    for (const other of this.#attempts) {
      other.destroy();
    }
    this.#attempts.clear();
    if (this.#server.tls) {
      this.#shakeHands(socket);
    } else {
      this.#succeed(socket);
    }
  }

  #shakeHands(socket: Socket): void {
    const { host } = this.#server;
    this.#tooLate = `the TLS handshake was not complete within ${String(this.#settings.connectTimeoutMs)} ms`;
    const secure = connectTls({
      socket,
      host,
      // A server is not told by which address it was called, only by which name (RFC 6066, section 3).
      servername: isIP(host) === 0 ? host : '',
      ...(this.#settings.secureContext === undefined ? {} : { secureContext: this.#settings.secureContext }),
      // Without any name in the certificate, Node.js would take its common name.
      checkServerIdentity: (name, certificate) =>
        checkServerIdentity(name, { ...certificate, subject: { ...certificate.subject, CN: '' } }),
      // Said here, it wins over what the environment says.
      rejectUnauthorized: true,
    });
    secure.on('error', ignore);
    this.#attempts.add(secure);
    secure.once('secureConnect', () => {
      this.#attempts.delete(secure);
      this.#succeed(secure);
    });
    secure.once('error', (error: Error) => {
      // It is set if the certificate was looked at and not accepted, whatever the types say.
      const judged = secure.authorizationError as Error | string | null | undefined;
      this.#fail(tlsFailure(error, judged !== null && judged !== undefined));
    });
  }

  #succeed(socket: Socket): void {
    this.cancel();
    this.#done({ kind: 'connected', socket });
  }

  #fail(reason: Failure): void {
    if (!this.#isOver) {
      this.cancel();
      this.#done({ kind: 'failed', failure: reason });
    }
  }
}

function ignore(): void {
  // Who listens says what it means.
}

/** How long to wait before the next attempt, so that all that have not begun do so in the time that is left. */
export function delayMs(leftMs: number, others: number): number {
  return Math.max(ATTEMPT_DELAY_MIN_MS, Math.min(leftMs / (others + 1), ATTEMPT_DELAY_MAX_MS));
}

/**
 * Whether the connection leads to itself. If nobody listens on a port of this machine, the kernel may choose that
 * port for this end.
 */
function isOwnEnd(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}
