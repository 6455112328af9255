/**
 * Messages to bytes and bytes to messages, as docs/protocol.md has them. Nothing here knows a socket.
 *
 *     frame = length:u16  kind:u8  body          all integers are big-endian
 */

import { CLUSTER_BYTES_MAX, ERROR_TEXT_BYTES_MAX, VERSION_BYTES_MAX } from './limits.js';
import { PID_MAX } from './identity.js';
import { hasControl } from './text.js';

/** A client asks for identities. */
export interface IdentityRequest {
  readonly kind: 'identityRequest';
  /** How many, 0 to 2^32 - 1. */
  readonly count: number;
  /** An identity that each of them must be greater than, or 0. */
  readonly after: bigint;
}

/** A client asks who the server is. */
export interface HelloRequest {
  readonly kind: 'helloRequest';
  /** The cluster that it expects, or empty for any. */
  readonly cluster: string;
}

/** A server hands out identities: `first`, `first + 1024`, ... */
export interface IdentityReply {
  readonly kind: 'identityReply';
  readonly first: bigint;
  readonly count: number;
}

/** A server says who it is. */
export interface HelloReply {
  readonly kind: 'helloReply';
  readonly cluster: string;
  readonly version: string;
  readonly wireVersion: number;
  /** The most identities that one request may ask for. */
  readonly countMax: number;
  readonly pid: number;
  /** Whether it hands out identities: 0 if it does, else why not. */
  readonly standing: number;
}

/** A server says why there is no reply. */
export interface ErrorReply {
  readonly kind: 'errorReply';
  readonly code: number;
  readonly message: string;
}

/** What a client sends. */
export type Request = IdentityRequest | HelloRequest;
/** What a client gets. */
export type Reply = IdentityReply | HelloReply | ErrorReply;

/** Bytes that are no frame that a client takes. What it was part of cannot be used, and nobody knows where the next begins. */
export class FrameError extends Error {}

const LENGTH_BYTES = 2;
const HEADER_BYTES = 3;

const IDENTITY_REQUEST = 1;
const IDENTITY_REPLY = 2;
const HELLO_REQUEST = 17;
const HELLO_REPLY = 18;
const ERROR_REPLY = 255;

/** The last of the standings that a server can be in; see statusReply in docs/protocol.md. */
const STANDING_MAX = 7;

const NAMES: ReadonlyMap<number, string> = new Map([
  [IDENTITY_REQUEST, 'identityRequest'],
  [IDENTITY_REPLY, 'identityReply'],
  [3, 'syncRequest'],
  [4, 'syncReply'],
  [5, 'statusRequest'],
  [6, 'statusReply'],
  [7, 'objection'],
  [8, 'overrule'],
  [9, 'membersRequest'],
  [10, 'membersReply'],
  [11, 'forgetRequest'],
  [12, 'advanceRequest'],
  [13, 'doneReply'],
  [14, 'probe'],
  [15, 'alive'],
  [16, 'goodbye'],
  [HELLO_REQUEST, 'helloRequest'],
  [HELLO_REPLY, 'helloReply'],
  [ERROR_REPLY, 'errorReply'],
]);

/** The least and the greatest length of the frames that a client takes. */
const LENGTHS: ReadonlyMap<number, readonly [number, number]> = new Map([
  [IDENTITY_REPLY, [13, 13]],
  [HELLO_REPLY, [27, 345]],
  [ERROR_REPLY, [11, 523]],
]);

/** The bytes of a message. */
export function encode(message: Request): Buffer {
  if (message.kind === 'identityRequest') {
    const bytes = Buffer.allocUnsafe(IDENTITY_REQUEST_BYTES_MAX);
    return bytes.subarray(0, writeIdentityRequest(bytes, 0, message.count, message.after));
  }
  const name = Buffer.from(message.cluster, 'utf8');
  const bytes = Buffer.alloc(HEADER_BYTES + 8 + name.length);
  bytes.writeUInt16BE(bytes.length - LENGTH_BYTES, 0);
  bytes.writeUInt8(HELLO_REQUEST, 2);
  bytes.writeBigUInt64BE(BigInt(name.length), HEADER_BYTES);
  name.copy(bytes, HEADER_BYTES + 8);
  return bytes;
}

/** The most bytes of an identityRequest. */
export const IDENTITY_REQUEST_BYTES_MAX = 15;

/** Writes an identityRequest at this place, and returns how many bytes it has. The usual one has no body. */
export function writeIdentityRequest(bytes: Buffer, at: number, count: number, after: bigint): number {
  if (count === 1 && after === 0n) {
    bytes.writeUInt16BE(1, at);
    bytes.writeUInt8(IDENTITY_REQUEST, at + 2);
    return HEADER_BYTES;
  }
  bytes.writeUInt16BE(13, at);
  bytes.writeUInt8(IDENTITY_REQUEST, at + 2);
  bytes.writeUInt32BE(count, at + 3);
  bytes.writeBigUInt64BE(after, at + 7);
  return IDENTITY_REQUEST_BYTES_MAX;
}

/**
 * The message in bytes that are exactly one frame.
 *
 * @throws {FrameError} They are not.
 */
export function decode(bytes: Buffer): Reply {
  const reader = new FrameReader();
  reader.push(bytes);
  const message = reader.next();
  if (message === undefined) {
    throw new FrameError(`the frame ends after ${plural(bytes.length, 'byte')}`);
  }
  if (reader.pending > 0) {
    throw new FrameError(`${plural(reader.pending, 'byte')} more than the frame has`);
  }
  return message;
}

/** Puts the bytes of a stream together to messages, however they are cut. It keeps less than one frame. */
export class FrameReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** How many bytes wait: those of a frame that is not complete, or not taken yet. */
  get pending(): number {
    return this.#bytes.length - this.#at;
  }

  /** The bytes that wait, for a look at what they are. */
  peek(): Buffer {
    return this.#bytes.subarray(this.#at);
  }

  /** Adds what has arrived. */
  push(chunk: Buffer): void {
    this.#bytes = this.pending === 0 ? chunk : Buffer.concat([this.peek(), chunk]);
    this.#at = 0;
  }

  /**
   * The next message, or `undefined` until more bytes have come. Length and kind are judged as soon as they are there.
   *
   * @throws {FrameError} What came is no frame for a client.
   */
  next(): Reply | undefined {
    const pending = this.pending;
    if (pending < LENGTH_BYTES) {
      return undefined;
    }
    const length = this.#bytes.readUInt16BE(this.#at);
    if (length === 0) {
      throw new FrameError('frame length 0: a frame has at least its kind byte');
    }
    if (pending < HEADER_BYTES) {
      return undefined;
    }
    const kind = this.#bytes.readUInt8(this.#at + 2);
    judge(kind, length);
    if (pending < LENGTH_BYTES + length) {
      return undefined;
    }
    const begin = this.#at + HEADER_BYTES;
    this.#at += LENGTH_BYTES + length;
    return decodeBody(kind, this.#bytes, begin, this.#at);
  }
}

function judge(kind: number, length: number): void {
  const lengths = LENGTHS.get(kind);
  if (lengths === undefined) {
    const name = NAMES.get(kind);
    throw new FrameError(
      name === undefined
        ? `unknown kind ${String(kind)}`
        : `kind ${String(kind)} (${name}) is not taken on this side of a connection`,
    );
  }
  const [least, most] = lengths;
  if (length < least || length > most) {
    const needs = least === most ? String(least) : `${String(least)} to ${String(most)}`;
    throw new FrameError(`frame length ${String(length)}: ${kindName(kind)} needs ${needs}`);
  }
}

function decodeBody(kind: number, bytes: Buffer, begin: number, end: number): Reply {
  if (kind === IDENTITY_REPLY) {
    return {
      kind: 'identityReply',
      first: bytes.readBigUInt64BE(begin),
      count: bytes.readUInt32BE(begin + 8),
    };
  }
  const fields = new Fields(kind, bytes.subarray(begin, end));
  const message = kind === HELLO_REPLY ? helloReply(fields) : errorReply(fields);
  fields.end();
  return message;
}

function helloReply(fields: Fields): HelloReply {
  const cluster = fields.text('cluster name', 1, CLUSTER_BYTES_MAX);
  if (hasControl(cluster)) {
    throw fields.wrong('a cluster name holds no control characters');
  }
  return {
    kind: 'helloReply',
    cluster,
    version: fields.text('version', 0, VERSION_BYTES_MAX),
    wireVersion: fields.u16(),
    countMax: fields.u32(),
    pid: fields.upTo('pid', fields.u16(), PID_MAX),
    standing: fields.upTo('standing', fields.u8(), STANDING_MAX),
  };
}

function errorReply(fields: Fields): ErrorReply {
  return { kind: 'errorReply', code: fields.u16(), message: fields.text('message', 0, ERROR_TEXT_BYTES_MAX) };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The fields of a body, one after the other. */
class Fields {
  readonly #kind: number;
  readonly #body: Buffer;
  #at = 0;

  constructor(kind: number, body: Buffer) {
    this.#kind = kind;
    this.#body = body;
  }

  u8(): number {
    return this.#body.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#body.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#body.readUInt32BE(this.#take(4));
  }

  text(what: string, least: number, most: number): string {
    const claimed = this.#body.readBigUInt64BE(this.#take(8));
    if (claimed < BigInt(least) || claimed > BigInt(most)) {
      throw this.wrong(
        `a ${what} has ${String(least)} to ${String(most)} bytes, this one has ${claimed.toString()}`,
      );
    }
    const begin = this.#take(Number(claimed));
    try {
      return UTF8.decode(this.#body.subarray(begin, this.#at));
    } catch {
      throw this.wrong('a text in it is not UTF-8');
    }
  }

  upTo(what: string, value: number, most: number): number {
    if (value > most) {
      throw this.wrong(`${what} ${String(value)} is beyond the last, ${String(most)}`);
    }
    return value;
  }

  end(): void {
    const left = this.#body.length - this.#at;
    if (left > 0) {
      throw new FrameError(
        `the body of ${kindName(this.#kind)} has ${plural(left, 'byte')} more than its fields`,
      );
    }
  }

  wrong(reason: string): FrameError {
    return new FrameError(`the body of ${kindName(this.#kind)} does not decode: ${reason}`);
  }

  #take(bytes: number): number {
    const begin = this.#at;
    const missing = begin + bytes - this.#body.length;
    if (missing > 0) {
      throw this.wrong(`a field needs ${plural(missing, 'byte')} more`);
    }
    this.#at += bytes;
    return begin;
  }
}

function kindName(kind: number): string {
  return NAMES.get(kind) ?? `kind ${String(kind)}`;
}

function plural(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`;
}
