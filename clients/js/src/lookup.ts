/** The addresses of a host name. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/**
 * The lookups that are under way. Each takes one of the few threads that Node.js has for them, and cannot be
 * cancelled, so those who ask for the same name meanwhile wait for the same lookup.
 */
const underWay = new Map<string, Promise<string[]>>();

/** The IP addresses of a host, in the order of the system's resolver. An IP address is its own. */
export function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) {
    return Promise.resolve([host]);
  }
  let found = underWay.get(host);
  if (found === undefined) {
    found = lookup(host, { all: true, verbatim: true })
      .then((all) => all.map(({ address }) => address))
      .finally(() => underWay.delete(host));
    underWay.set(host, found);
  }
  return found;
}

/**
 * The addresses in the order in which they are tried: the two families take turns, and that of the first address
 * begins (RFC 8305, section 4). Each address stands there once.
 */
export function interleaved(addresses: readonly string[]): string[] {
  const distinct = [...new Set(addresses)];
  const family = distinct[0] === undefined ? 0 : isIP(distinct[0]);
  const same = distinct.filter((address) => isIP(address) === family);
  const other = distinct.filter((address) => isIP(address) !== family);
  const order: string[] = [];
  for (let turn = 0; turn < distinct.length; turn += 1) {
    order.push(...same.slice(turn, turn + 1), ...other.slice(turn, turn + 1));
  }
  return order;
}
