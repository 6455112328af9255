/** Where a server is: a host and a port, as text, and whether it is spoken to by TLS. Nothing is looked up here. */

import { isIPv6 } from 'node:net';

import { ConfigurationError } from './errors.js';
import { PORT_DEFAULT } from './limits.js';
import { isPlain, quoted } from './text.js';

const TLS = 'tls://';
const BEHIND_SCHEME = '://';

/** The address of a server, as {@link parseAddress} reads it. */
export interface ServerAddress {
  /** The host name or IP address; an IPv6 address without its brackets. */
  readonly host: string;
  /** The port, 1 to 65535. */
  readonly port: number;
  /** Whether the server is spoken to by TLS. */
  readonly tls: boolean;
  /** The whole address, as {@link parseAddress} reads it: `tls://[::1]:3264`. */
  readonly text: string;
}

/**
 * Reads `HOST`, `HOST:PORT` or `[IPV6]:PORT`, with `tls://` before it if the server is spoken to by TLS. Without a
 * port it is 3264. An IPv6 address may have a zone: `fe80::1%eth0`.
 *
 * @throws {ConfigurationError} The text is no address, has another scheme, or its port is 0.
 */
export function parseAddress(text: string): ServerAddress {
  const tls = text.startsWith(TLS);
  const place = tls ? text.slice(TLS.length) : text;
  if (place.includes(BEHIND_SCHEME)) {
    throw new ConfigurationError(
      `${quoted(text)} is not an address ([tls://]HOST[:PORT]): tls://, in small letters, is the one scheme that ` +
        'there is, and an address without it is spoken to without TLS',
    );
  }
  const { host, digits } = split(text, place);
  const port = digits === undefined ? PORT_DEFAULT : portOf(text, digits);
  const shown = host.includes(':') ? `[${host}]` : host;
  return { host, port, tls, text: `${tls ? TLS : ''}${shown}:${String(port)}` };
}

function split(text: string, place: string): { host: string; digits: string | undefined } {
  if (isV6(place)) {
    return { host: place, digits: undefined };
  }
  if (place.startsWith('[')) {
    const end = place.indexOf(']');
    const host = place.slice(1, Math.max(end, 1));
    const behind = end < 0 ? '' : place.slice(end + 1);
    if (end < 0 || !isV6(host) || (behind !== '' && !behind.startsWith(':'))) {
      throw wrong(text, 'an IPv6 address with a port is written [::1]:3264');
    }
    return { host, digits: behind === '' ? undefined : behind.slice(1) };
  }
  const colon = place.indexOf(':');
  const host = colon < 0 ? place : place.slice(0, colon);
  if (host === '' || isOdd(host)) {
    throw wrong(text, 'it names no host');
  }
  return { host, digits: colon < 0 ? undefined : place.slice(colon + 1) };
}

function isV6(text: string): boolean {
  const percent = text.indexOf('%');
  if (percent < 0) {
    return isIPv6(text);
  }
  const zone = text.slice(percent + 1);
  return isIPv6(text.slice(0, percent)) && zone !== '' && !isOdd(zone) && !zone.includes(':');
}

/** Whether the text has a character that no host can have. */
function isOdd(text: string): boolean {
  return /[[\]/%]|\s/u.test(text) || !isPlain(text);
}

function portOf(text: string, digits: string): number {
  const port = /^[0-9]+$/.test(digits) ? Number(digits) : 0;
  if (port < 1 || port > 65_535) {
    throw wrong(text, 'its port is not 1 to 65535');
  }
  return port;
}

function wrong(text: string, reason: string): ConfigurationError {
  return new ConfigurationError(`${quoted(text)} is not an address ([tls://]HOST[:PORT]): ${reason}`);
}
