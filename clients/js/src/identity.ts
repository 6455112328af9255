/**
 * Identities as integers and as texts.
 *
 * An identity is a `bigint` of 63 bits: a sequence of 53 bits, and behind it the pid of the server that handed it
 * out, 10 bits. Compare identities with `<` and `>`. A `number` holds only 53 bits exactly, and JSON has no
 * `bigint`: send an identity as text, `String(identity)`.
 */

import { ConfigurationError } from './errors.js';
import { quoted } from './text.js';

/** How far apart two identities of one block stand: one sequence, 2^10. */
export const IDENTITY_STRIDE = 1024n;

/** The greatest identity, 2^63 - 1. */
export const IDENTITY_MAX = 9_223_372_036_854_775_807n;

/** The last sequence, 2^53 - 1. The first that is handed out is 1. */
export const SEQUENCE_MAX = 9_007_199_254_740_991n;

/** The greatest pid. The smallest is 0. */
export const PID_MAX = 1023;

/** How an identity is written: `1025`, `0x401`, `1:1` or `0000000000101`. */
export type IdentityForm = 'decimal' | 'hex' | 'pair' | 'base32';

const PID_BITS = 10n;
const PID_MASK = 1023n;

// D. Crockford's alphabet: without I, L, O and U. In ASCII it ascends, so texts of one length sort like numbers.
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const BASE32_CHARACTERS = 13;

/** Whether this integer can be an identity: 0 to 2^63 - 1. No server hands out one below 1024. */
export function isIdentity(value: bigint): boolean {
  return value >= 0n && value <= IDENTITY_MAX;
}

/** The sequence of an identity, 0 to 2^53 - 1. */
export function sequenceOf(identity: bigint): bigint {
  return identity >> PID_BITS;
}

/** The pid of the server that handed an identity out, 0 to 1023. */
export function pidOf(identity: bigint): number {
  return Number(identity & PID_MASK);
}

/**
 * The identity with this sequence and pid.
 *
 * @throws {ConfigurationError} The sequence is not 0 to 2^53 - 1, or the pid is not an integer from 0 to 1023.
 */
export function identityOf(sequence: bigint, pid: number): bigint {
  if (sequence < 0n || sequence > SEQUENCE_MAX) {
    throw new ConfigurationError(`sequence ${String(sequence)} is not 0 to ${String(SEQUENCE_MAX)}`);
  }
  if (!Number.isInteger(pid) || pid < 0 || pid > PID_MAX) {
    throw new ConfigurationError(`pid ${String(pid)} is not 0 to ${String(PID_MAX)}`);
  }
  return (sequence << PID_BITS) | BigInt(pid);
}

/**
 * Reads an identity in decimal (`1025`), hexadecimal (`0x401`) or as a pair of sequence and pid (`1:1`).
 * `base32` has a function of its own, {@link parseBase32}, because `1000000000000` may be either.
 *
 * @throws {ConfigurationError} The text is none of them, or is beyond the last identity.
 */
export function parseIdentity(text: string): bigint {
  const pair = /^([0-9]+):([0-9]+)$/.exec(text);
  if (pair !== null) {
    const [, sequence = '', pid = ''] = pair;
    return inRange(text, digits(text, sequence), digits(text, pid));
  }
  if (!/^(?:[0-9]+|0[xX][0-9a-fA-F]+)$/.test(text)) {
    throw new ConfigurationError(
      `${quoted(text)} is not an identity: expected decimal (1025), hexadecimal (0x401) or sequence:pid (1:1)`,
    );
  }
  const value = digits(text, text);
  return inRange(text, value >> PID_BITS, value & PID_MASK);
}

/**
 * Reads an identity in base32: 13 characters of Crockford's alphabet. Small letters are read too, `I` and `L` as 1,
 * and `O` as 0.
 *
 * @throws {ConfigurationError} The text has another length or another character, or its first is not 0 to 7.
 */
export function parseBase32(text: string): bigint {
  if (text.length !== BASE32_CHARACTERS) {
    throw new ConfigurationError(
      `${quoted(text)} is not an identity in base32: it has ${String(text.length)} characters, and ` +
        `${String(BASE32_CHARACTERS)} are needed`,
    );
  }
  let value = 0n;
  for (const character of text) {
    const digit = digitOf(character);
    if (digit < 0) {
      throw new ConfigurationError(
        `${quoted(text)} is not an identity in base32: ${quoted(character)} is not one of ${ALPHABET}`,
      );
    }
    value = (value << 5n) | BigInt(digit);
  }
  if (value > IDENTITY_MAX) {
    throw new ConfigurationError(
      `${quoted(text)} is not an identity in base32: it is beyond the last, 7ZZZZZZZZZZZZ`,
    );
  }
  return value;
}

/**
 * Writes an identity in one of the four forms; in decimal unless told.
 *
 * @throws {ConfigurationError} The integer is no identity.
 */
export function formatIdentity(identity: bigint, form: IdentityForm = 'decimal'): string {
  checkIdentity(identity);
  switch (form) {
    case 'decimal':
      return identity.toString();
    case 'hex':
      return `0x${identity.toString(16)}`;
    case 'pair':
      return `${sequenceOf(identity).toString()}:${String(pidOf(identity))}`;
    case 'base32':
      return base32Of(identity);
  }
}

/**
 * Does nothing if the integer is an identity.
 *
 * @throws {ConfigurationError} It is none.
 */
export function checkIdentity(identity: bigint): void {
  if (typeof identity !== 'bigint') {
    throw new ConfigurationError(
      `${quoted(String(identity))} is not an identity: it is a ${typeof identity}, and a bigint is needed ` +
        '(parseIdentity makes one of a text)',
    );
  }
  if (!isIdentity(identity)) {
    throw new ConfigurationError(`${identity.toString()} is not an identity: it is not 0 to 2^63 - 1`);
  }
}

function base32Of(identity: bigint): string {
  let text = '';
  for (let shift = 5n * BigInt(BASE32_CHARACTERS - 1); shift >= 0n; shift -= 5n) {
    text += ALPHABET.charAt(Number((identity >> shift) & 31n));
  }
  return text;
}

function digitOf(character: string): number {
  const capital = /^[a-z]$/.test(character) ? character.toUpperCase() : character;
  if (capital === 'I' || capital === 'L') {
    return 1;
  }
  return capital === 'O' ? 0 : ALPHABET.indexOf(capital);
}

// A number of 2^64 or more has at most so many digits that are not zeros in front; `BigInt` of a text of megabytes
// would take seconds.
const DIGITS_MAX = 20;

function digits(text: string, number: string): bigint {
  const hex = /^0[xX]0*(.*)$/.exec(number);
  const significant = hex?.[1] ?? number.replace(/^0+/, '');
  if (significant.length > DIGITS_MAX) {
    throw new ConfigurationError(
      `${quoted(shortened(text))} is not an identity: it is beyond the last, 2^63 - 1`,
    );
  }
  return BigInt(`${hex === null ? '' : '0x'}${significant === '' ? '0' : significant}`);
}

function shortened(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}...` : text;
}

function inRange(text: string, sequence: bigint, pid: bigint): bigint {
  if (sequence > SEQUENCE_MAX) {
    throw new ConfigurationError(
      `${quoted(text)} is not an identity: sequence ${sequence.toString()} is beyond the last, ${SEQUENCE_MAX.toString()}`,
    );
  }
  if (pid > PID_MASK) {
    throw new ConfigurationError(
      `${quoted(text)} is not an identity: pid ${pid.toString()} is beyond the last, ${String(PID_MAX)}`,
    );
  }
  return (sequence << PID_BITS) | pid;
}
