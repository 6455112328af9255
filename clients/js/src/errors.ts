/**
 * Why a call failed: one class for each thing that a caller can do something about. A call that its caller has
 * cancelled fails with the reason of the `AbortSignal`, and not with one of these.
 */

/** A server that was tried, and what happened there the last time. */
export interface ServerFailure {
  /** The server, as in the list: `HOST:PORT`, with `tls://` before it where it is spoken to by TLS. */
  readonly server: string;
  /** What happened, in plain words and one line. */
  readonly cause: string;
}

/** The base of all errors of this library. */
export class IpseityError extends Error {
  static {
    this.prototype.name = 'IpseityError';
  }
}

/** An address, an option or a text is wrong, and nothing was sent. Correct the program. */
export class ConfigurationError extends IpseityError {
  static {
    this.prototype.name = 'ConfigurationError';
  }
}

/** No server answered in time. Nothing is wrong with the request: try it again later, and look at the servers. */
export class UnavailableError extends IpseityError {
  static {
    this.prototype.name = 'UnavailableError';
  }

  /** Every server of the list, with what happened there the last time. */
  readonly failures: readonly ServerFailure[];

  /** @internal */
  constructor(message: string, failures: readonly ServerFailure[]) {
    super(message);
    this.failures = failures;
  }
}

/** A server has refused this request, and another one would say the same. Correct the request. */
export class RefusedError extends IpseityError {
  static {
    this.prototype.name = 'RefusedError';
  }

  /** The server that answered. */
  readonly server: string;
  /** The code of its errorReply, 0 to 65535, for programs: 32 is badCount, 33 is advanceTooLarge. See docs/protocol.md. */
  readonly code: number;

  /** @internal */
  constructor(message: string, server: string, code: number) {
    super(message);
    this.server = server;
    this.code = code;
  }
}

/** The server is of another cluster than the client was told. Correct the list of servers, or the name. */
export class WrongClusterError extends IpseityError {
  static {
    this.prototype.name = 'WrongClusterError';
  }

  /** The server that is of another cluster. */
  readonly server: string;

  /** @internal */
  constructor(message: string, server: string) {
    super(message);
    this.server = server;
  }
}

/**
 * A server broke the protocol, and nothing of its reply was used. Check that it is an Ipseity server, and its
 * version.
 */
export class ProtocolError extends IpseityError {
  static {
    this.prototype.name = 'ProtocolError';
  }

  /** The server that broke the protocol; empty where bytes were decoded that came from no server. */
  readonly server: string;

  /** @internal */
  constructor(message: string, server: string) {
    super(message);
    this.server = server;
  }
}

/** The client or source was closed before the call, or during it. */
export class ClosedError extends IpseityError {
  static {
    this.prototype.name = 'ClosedError';
  }
}
