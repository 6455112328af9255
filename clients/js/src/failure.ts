/** What happened at a server that gave no answer, in words. */

import type { ErrorReply } from './frames.js';
import { isHopeless, nameOf } from './codes.js';
import { plain } from './text.js';

/** Why a server gave no answer to a call. Another server may. */
export interface Failure {
  /** What happened, in one line. */
  readonly cause: string;
  /** Whether the same would happen again however long one waits. */
  readonly isHopeless: boolean;
}

/** A failure that may be over the next time. */
export function failure(cause: string): Failure {
  return { cause: plain(cause), isHopeless: false };
}

/** A failure that stays until somebody has changed a file, a flag or a list. */
export function hopeless(cause: string): Failure {
  return { cause: plain(cause), isHopeless: true };
}

/** What it means that a server has answered with an error that another one may not have. */
export function refusal(reply: ErrorReply): Failure {
  return {
    cause: `refused with ${nameOf(reply.code)}: ${plain(reply.message)}`,
    isHopeless: isHopeless(reply.code),
  };
}

/** The code of an error of Node.js, such as `ECONNREFUSED`, or an empty text. */
export function codeOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : '';
}

/** What an error of a connection says, without the name of the system call. */
export function messageOf(error: Error): string {
  const known: Record<string, string> = {
    ECONNREFUSED: 'connection refused',
    ECONNRESET: 'connection reset',
    EHOSTUNREACH: 'no route to host',
    ENETUNREACH: 'network is unreachable',
    ETIMEDOUT: 'connection timed out',
  };
  return known[codeOf(error)] ?? error.message;
}

/** What it means that TLS has failed. `isCertificate`: the certificate of the server was not accepted. */
export function tlsFailure(error: Error, isCertificate: boolean): Failure {
  const code = codeOf(error);
  if (isCertificate) {
    return hopeless(CERTIFICATE_TEXTS[code] ?? `its certificate is not accepted: ${error.message}`);
  }
  if (NOT_TLS.has(code)) {
    return hopeless('it does not speak TLS there: take tls:// away from its address');
  }
  if (/ALERT.*(CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/.test(code)) {
    return hopeless(
      `it does not accept our certificate, or wants one (tls.cert and tls.key): ${reasonOf(error)}`,
    );
  }
  // By TLS 1.2 a server says no more than this when it was shown no certificate.
  if (code.includes('ALERT_HANDSHAKE_FAILURE')) {
    return hopeless(
      'it does not accept our certificate, or wants one (tls.cert and tls.key), or has no cipher in common: ' +
        reasonOf(error),
    );
  }
  if (code === 'ECONNRESET') {
    return failure('it closed the connection during the TLS handshake');
  }
  return failure(`TLS failed: ${reasonOf(error)}`);
}

/** Whether an error of a connection is one of TLS, or of a certificate. */
export function isTls(error: Error): boolean {
  return codeOf(error).startsWith('ERR_SSL_');
}

/** What OpenSSL says, without its addresses and files. */
function reasonOf(error: Error): string {
  const { reason } = error as { reason?: unknown };
  return typeof reason === 'string' ? reason : error.message;
}

const NOT_SIGNED =
  'its certificate is not signed by a CA that is believed here: see tls.ca; if a CA in between has signed it, the ' +
  'certificate of that CA belongs behind it at the server';

const CERTIFICATE_TEXTS: Record<string, string | undefined> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_SIGNED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_SIGNED,
  UNABLE_TO_GET_ISSUER_CERT: NOT_SIGNED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_SIGNED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_SIGNED,
};

/** What OpenSSL says of bytes that are no TLS, such as a frame or HTTP. */
const NOT_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_RECORD_TOO_SMALL',
  'ERR_SSL_UNEXPECTED_MESSAGE',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_BAD_RECORD_TYPE',
]);
