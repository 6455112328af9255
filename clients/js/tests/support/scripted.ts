/** A server for tests that does what a test says, however wrong that is. */

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';

import { identityOf } from 'ipseity';

/** The bytes of a frame. */
export function frame(kind: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc(3 + body.length);
  bytes.writeUInt16BE(1 + body.length, 0);
  bytes.writeUInt8(kind, 2);
  body.copy(bytes, 3);
  return bytes;
}

export function identities(first: bigint, count = 1): Buffer {
  const body = Buffer.alloc(12);
  body.writeBigUInt64BE(first, 0);
  body.writeUInt32BE(count, 8);
  return frame(2, body);
}

export function errorReply(code: number, message = 'no'): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frame(255, Buffer.concat([head, text(message)]));
}

export interface Hello {
  readonly cluster?: string;
  readonly countMax?: number;
  readonly pid?: number;
}

export function helloReply({ cluster = 'ipseity', countMax = 1000, pid = 1 }: Hello = {}): Buffer {
  const tail = Buffer.alloc(9);
  tail.writeUInt16BE(2, 0);
  tail.writeUInt32BE(countMax, 2);
  tail.writeUInt16BE(pid, 6);
  return frame(18, Buffer.concat([text(cluster), text('0.2.0'), tail]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

/** A request, as a scripted server reads it. */
export type Asked =
  { kind: 'identityRequest'; count: number; after: bigint } | { kind: 'helloRequest'; cluster: string };

/** The server's end of one connection. */
export class Peer {
  /** The requests that were read and that nobody has taken. */
  readonly #asked: Asked[] = [];
  #bytes = Buffer.alloc(0);
  #hasEnded = false;
  #wake: (() => void) | undefined;

  constructor(
    readonly socket: Socket,
    /** What each read from the socket has brought: how many requests. */
    readonly reads: number[] = [],
  ) {
    socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      const before = this.#asked.length;
      this.#parse();
      this.reads.push(this.#asked.length - before);
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#hasEnded = true;
      this.#wake?.();
    });
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#wake?.();
    });
  }

  /** The next request; `undefined` if the client has closed. */
  async asked(): Promise<Asked | undefined> {
    for (;;) {
      const request = this.#asked.shift();
      if (request !== undefined || this.#hasEnded) {
        return request;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(...parts: Buffer[]): void {
    if (!this.socket.destroyed) {
      this.socket.write(Buffer.concat(parts));
    }
  }

  /** Sends the bytes cut in two at this place, in packets of their own. */
  async sendCut(bytes: Buffer, at: number): Promise<void> {
    this.send(bytes.subarray(0, at));
    await new Promise((resolve) => setTimeout(resolve, 3));
    this.send(bytes.subarray(at));
  }

  /** Keeps the connection until the client closes it. */
  async untilClosed(): Promise<void> {
    while ((await this.asked()) !== undefined) {
      // Whatever it asks for is left unanswered.
    }
  }

  #parse(): void {
    while (this.#bytes.length >= 3) {
      const length = this.#bytes.readUInt16BE(0);
      if (this.#bytes.length < 2 + length) {
        return;
      }
      const kind = this.#bytes.readUInt8(2);
      const body = this.#bytes.subarray(3, 2 + length);
      this.#bytes = this.#bytes.subarray(2 + length);
      if (kind === 17) {
        this.#asked.push({ kind: 'helloRequest', cluster: body.subarray(8).toString('utf8') });
      } else if (body.length === 0) {
        this.#asked.push({ kind: 'identityRequest', count: 1, after: 0n });
      } else {
        this.#asked.push({
          kind: 'identityRequest',
          count: body.readUInt32BE(0),
          after: body.readBigUInt64BE(4),
        });
      }
    }
  }
}

/** What a server does with a connection. `index` counts them from 0. It is closed when the script has ended. */
export type Script = (peer: Peer, index: number) => Promise<void> | void;

/** A listening server that follows a script. */
export class Scripted implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** How many connections it got. */
  connections = 0;

  private constructor(script: Script, tls: TlsOptions | undefined) {
    const accept = (socket: Socket): void => {
      const index = this.connections;
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      void Promise.resolve(script(new Peer(socket), index)).then(() => socket.end());
    };
    this.#server =
      tls === undefined
        ? createServer({ allowHalfOpen: true, noDelay: true }, accept)
        : createTlsServer({ ...tls, noDelay: true }, accept);
    // Also those that never get as far as a handshake are closed in the end.
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** Listens on a free port of 127.0.0.1, by TLS if it is told how. */
  static async listen(script: Script, tls?: TlsOptions): Promise<Scripted> {
    const scripted = new Scripted(script, tls);
    scripted.#server.listen(0, '127.0.0.1');
    await once(scripted.#server, 'listening');
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get address(): string {
    return `127.0.0.1:${String(this.port)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface Serving extends Hello {
  /** The sequence that it begins with. */
  readonly first?: bigint;
  /** Is told of every request, and may answer by itself. */
  readonly on?: (request: Asked, peer: Peer) => Buffer | undefined | Promise<Buffer | undefined>;
}

/** A script that serves as a real server does. All its connections share one counter. */
export function serving({ on, first = 1n, ...hello }: Serving = {}): Script {
  const pid = hello.pid ?? 1;
  let sequence = first;
  return async (peer) => {
    for (let request = await peer.asked(); request !== undefined; request = await peer.asked()) {
      const own = await on?.(request, peer);
      if (own !== undefined) {
        peer.send(own);
      } else if (request.kind === 'helloRequest') {
        peer.send(helloReply(hello));
      } else if (request.count < 1 || request.count > (hello.countMax ?? 1000)) {
        peer.send(errorReply(32, 'count must be 1 to the greatest'));
      } else {
        const least = request.after / 1024n + 1n;
        sequence = sequence > least ? sequence : least;
        peer.send(identities(identityOf(sequence, pid), request.count));
        sequence += BigInt(request.count);
      }
    }
  };
}

/** A script that takes requests and never answers. */
export async function silent(peer: Peer): Promise<void> {
  await peer.untilClosed();
}

/** A port of this machine on which nobody listens. */
export async function deadAddress(): Promise<string> {
  const server = await Scripted.listen(() => undefined);
  const { address } = server;
  await server[Symbol.asyncDispose]();
  return address;
}
