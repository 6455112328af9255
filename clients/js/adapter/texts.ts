/** The commands about texts and bytes. */

import { formatIdentity, parseAddress, parseBase32, parseIdentity, pidOf, sequenceOf } from 'ipseity';

import { actionOf, closes } from '../src/codes.js';
import { decode, encode, type Reply } from '../src/frames.js';
import type { Answer, Command } from './answers.js';

/** Carries out a command about texts or bytes. `undefined` if it is none. */
export function textCommand(command: Command): Answer | undefined {
  switch (command.do) {
    case 'identity':
      return { ok: forms(parseIdentity(String(command.text))) };
    case 'base32':
      return { ok: forms(parseBase32(String(command.text))) };
    case 'address': {
      const { host, port, tls } = parseAddress(String(command.text));
      return { ok: { host, port, tls } };
    }
    case 'encode':
      return { ok: { bytes: encoded(command.message as Record<string, unknown>) } };
    case 'decode':
      return { ok: shown(decode(Buffer.from(String(command.bytes), 'hex'))) };
    case 'code': {
      const code = Number(command.code);
      return { ok: { action: actionOf(code), closes: closes(code) } };
    }
    default:
      return undefined;
  }
}

function forms(identity: bigint): Record<string, unknown> {
  return {
    decimal: formatIdentity(identity, 'decimal'),
    hex: formatIdentity(identity, 'hex'),
    pair: formatIdentity(identity, 'pair'),
    base32: formatIdentity(identity, 'base32'),
    sequence: sequenceOf(identity).toString(),
    pid: pidOf(identity),
  };
}

function encoded(message: Record<string, unknown>): string {
  const bytes =
    message.kind === 'helloRequest'
      ? encode({ kind: 'helloRequest', cluster: String(message.cluster) })
      : encode({
          kind: 'identityRequest',
          count: Number(message.count),
          after: BigInt(String(message.after)),
        });
  return bytes.toString('hex');
}

function shown(message: Reply): Record<string, unknown> {
  return message.kind === 'identityReply' ? { ...message, first: message.first.toString() } : { ...message };
}
