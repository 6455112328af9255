/**
 * Unique, increasing 64-bit identities from Ipseity servers.
 *
 * A {@link Client} asks a server for each call, and a {@link Source} keeps a block and takes the next one ahead of need.
 */

export { parseAddress, type ServerAddress } from './address.js';
export { Block } from './block.js';
export { Client } from './client.js';
export {
  ClosedError,
  ConfigurationError,
  IpseityError,
  ProtocolError,
  RefusedError,
  UnavailableError,
  WrongClusterError,
  type ServerFailure,
} from './errors.js';
export {
  formatIdentity,
  IDENTITY_MAX,
  identityOf,
  isIdentity,
  parseBase32,
  parseIdentity,
  pidOf,
  sequenceOf,
  type IdentityForm,
} from './identity.js';
export type { CallOptions, ClientOptions, SourceOptions, TlsOptions } from './options.js';
export { Source } from './source.js';
export type { Counters, Hooks } from './watching.js';
