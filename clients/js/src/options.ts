/** What a client and a source can be told, checked before anything is sent. */

import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';

import { parseAddress, type ServerAddress } from './address.js';
import { ConfigurationError } from './errors.js';
import {
  BLOCK_AGE_MAX_MS,
  BLOCK_MAX,
  BLOCK_MAX_MAX,
  CALL_TIMEOUT_MS,
  CLUSTER_BYTES_MAX,
  CONNECT_TIMEOUT_MS,
  IDLE_MAX_MS,
  REPLY_TIMEOUT_MS,
  TIME_MAX_MS,
} from './limits.js';
import { hasControl, quoted } from './text.js';
import type { Hooks } from './watching.js';

/** Which CAs are believed, and which certificate is shown. All are in PEM form: the contents, not the names of files. */
export interface TlsOptions {
  /** The certificates of the CAs that are believed. Unless given, those that come with Node.js. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[] | undefined;
  /** The own certificate, for servers that ask for one, with those of CAs in between behind it. */
  readonly cert?: string | Buffer | undefined;
  /** The private key of the own certificate. */
  readonly key?: string | Buffer | undefined;
  /** What the private key is encrypted with, if it is. */
  readonly passphrase?: string | undefined;
}

/** What a client can be told. Times are in milliseconds, more than 0 and at most 2^31 - 1. */
export interface ClientOptions extends Hooks {
  /** The name of the cluster, 1 to 255 bytes. Servers of another one are not used. Unless given, any will do. */
  readonly cluster?: string | undefined;
  /** What a server has to be looked up, to accept and to make a TLS handshake: 1000 ms. */
  readonly connectTimeoutMs?: number | undefined;
  /** What one reply may take, from when its request was written, or the reply before it came: 1000 ms. */
  readonly replyTimeoutMs?: number | undefined;
  /** What a whole call may take, over all servers and all tries: 2000 ms. */
  readonly callTimeoutMs?: number | undefined;
  /** A connection that was not used for so long is not used again: 60000 ms. */
  readonly idleMaxMs?: number | undefined;
  /** Which CAs are believed by servers at `tls://` addresses, and which certificate is shown to them. */
  readonly tls?: TlsOptions | undefined;
  /** The place in the list of the server that is tried first, from 0, in place of a random one. It is for tests. */
  readonly first?: number | undefined;
}

/** What a source can be told. */
export interface SourceOptions extends ClientOptions {
  /** What the source still holds of a block after so long is dropped: 60000 ms. */
  readonly blockAgeMaxMs?: number | undefined;
  /** The most identities that it takes at once: 65536, and at most 1048576. */
  readonly blockMax?: number | undefined;
}

/** What one call can be told. */
export interface CallOptions {
  /** Cancels the call, which then fails with the reason of the signal. Calls of others are not disturbed. */
  readonly signal?: AbortSignal | undefined;
}

/** The options as they are used: checked, and with all defaults. */
export interface Settings {
  readonly servers: readonly ServerAddress[];
  readonly first: number;
  readonly cluster: string | undefined;
  readonly connectTimeoutMs: number;
  readonly replyTimeoutMs: number;
  readonly callTimeoutMs: number;
  readonly idleMaxMs: number;
  /** What TLS is made with, or `undefined` if no server needs it. */
  readonly secureContext: SecureContext | undefined;
}

/** What only a source has. */
export interface SourceSettings {
  readonly blockAgeMaxMs: number;
  readonly blockMax: number;
}

// The names of all options. The compiler holds them in step with the types.
const OPTIONS: Readonly<Record<keyof SourceOptions, true>> = {
  cluster: true,
  connectTimeoutMs: true,
  replyTimeoutMs: true,
  callTimeoutMs: true,
  idleMaxMs: true,
  blockAgeMaxMs: true,
  blockMax: true,
  tls: true,
  first: true,
  onConnect: true,
  onFailover: true,
  onRefill: true,
};
const TLS_OPTIONS: Readonly<Record<keyof TlsOptions, true>> = {
  ca: true,
  cert: true,
  key: true,
  passphrase: true,
};

/**
 * The settings of a client or source.
 *
 * @throws {ConfigurationError} A server or an option is wrong.
 */
export function settingsOf(servers: string | Iterable<string>, options: ClientOptions): Settings {
  const addresses = (typeof servers === 'string' ? [servers] : [...servers]).map(parseAddress);
  if (addresses.length === 0) {
    throw new ConfigurationError('the list of servers is empty (name at least one, such as 127.0.0.1:3264)');
  }
  checkNames('', options, OPTIONS);
  checkNames('tls.', options.tls ?? {}, TLS_OPTIONS);
  const { cluster } = options;
  if (cluster !== undefined) {
    checkCluster(cluster);
  }
  const needsTls = addresses.some((address) => address.tls) || options.tls !== undefined;
  return {
    servers: addresses,
    first:
      options.first === undefined
        ? Math.floor(Math.random() * addresses.length)
        : integer('first', options.first, 0, addresses.length - 1),
    cluster,
    connectTimeoutMs: time('connectTimeoutMs', options.connectTimeoutMs, CONNECT_TIMEOUT_MS),
    replyTimeoutMs: time('replyTimeoutMs', options.replyTimeoutMs, REPLY_TIMEOUT_MS),
    callTimeoutMs: time('callTimeoutMs', options.callTimeoutMs, CALL_TIMEOUT_MS),
    idleMaxMs: time('idleMaxMs', options.idleMaxMs, IDLE_MAX_MS),
    secureContext: needsTls ? secureContextOf(options.tls ?? {}) : undefined,
  };
}

/**
 * The settings that only a source has.
 *
 * @throws {ConfigurationError} An option is wrong.
 */
export function sourceSettingsOf(options: SourceOptions): SourceSettings {
  return {
    blockAgeMaxMs: time('blockAgeMaxMs', options.blockAgeMaxMs, BLOCK_AGE_MAX_MS),
    blockMax: integer('blockMax', options.blockMax ?? BLOCK_MAX, 1, BLOCK_MAX_MAX),
  };
}

// There are callers without types, and a cluster that was misspelled would never be checked.
function checkNames(prefix: string, given: object, known: object): void {
  const wrong = Object.keys(given).find((name) => !Object.hasOwn(known, name));
  if (wrong !== undefined) {
    const names = Object.keys(known).map((name) => prefix + name);
    throw new ConfigurationError(
      `there is no option ${prefix}${wrong}: it must be one of ${names.join(', ')}`,
    );
  }
}

function time(name: string, given: number | undefined, standard: number): number {
  const ms = given ?? standard;
  // It is not always a number: there are callers without types.
  if (typeof ms !== 'number' || !(ms > 0 && ms <= TIME_MAX_MS)) {
    throw new ConfigurationError(
      `${name} is ${String(ms)}: it must be more than 0 ms, and at most ${String(TIME_MAX_MS)} ms`,
    );
  }
  return ms;
}

/**
 * The number, if it is an integer in this range.
 *
 * @throws {ConfigurationError} It is not.
 */
export function integer(name: string, given: number, least: number, most: number): number {
  if (!Number.isInteger(given) || given < least || given > most) {
    throw new ConfigurationError(
      `${name} is ${String(given)}: it must be an integer from ${String(least)} to ${String(most)}`,
    );
  }
  return given;
}

function checkCluster(cluster: string): void {
  const bytes = Buffer.byteLength(cluster, 'utf8');
  if (bytes < 1 || bytes > CLUSTER_BYTES_MAX || hasControl(cluster)) {
    throw new ConfigurationError(
      `cluster is ${quoted(cluster)}: it must be 1 to ${String(CLUSTER_BYTES_MAX)} bytes of UTF-8 without control characters`,
    );
  }
}

function secureContextOf(tls: TlsOptions): SecureContext {
  const { ca, cert, key, passphrase } = tls;
  if ((cert === undefined) !== (key === undefined)) {
    throw new ConfigurationError('tls: cert and key belong together, and only one of them is given');
  }
  const cas = ca === undefined ? undefined : [ca].flat();
  cas?.forEach((pem) => {
    checkCertificates('ca', pem);
  });
  if (cert !== undefined) {
    checkCertificates('cert', cert);
  }
  try {
    return createSecureContext({
      ...(cas === undefined ? {} : { ca: cas }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(passphrase === undefined ? {} : { passphrase }),
      minVersion: 'TLSv1.2',
    });
  } catch (error) {
    throw new ConfigurationError(`tls: the certificate or its key cannot be used: ${textOf(error)}`, {
      cause: error,
    });
  }
}

// OpenSSL passes over what it cannot read, and then no certificate would ever be accepted.
function checkCertificates(name: string, pem: string | Buffer): void {
  const blocks = pem.toString().match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (blocks === null) {
    throw new ConfigurationError(
      `tls.${name} holds no certificate: give the contents of a file in PEM form, with a line ` +
        '-----BEGIN CERTIFICATE-----',
    );
  }
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch (error) {
      throw new ConfigurationError(`tls.${name} holds a certificate that cannot be read: ${textOf(error)}`, {
        cause: error,
      });
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
