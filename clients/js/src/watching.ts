/** What a program can watch: hooks that are called, and counters. The library writes no log lines. */

/** What has happened since the client or source was made. All are whole numbers, 0 or more. */
export interface Counters {
  /** identityRequests that were written. */
  readonly requests: number;
  /** Identities that were handed out to callers. */
  readonly identities: number;
  /** Connections that were made. */
  readonly connects: number;
  /** Servers that have failed, each time. */
  readonly failures: number;
  /** Blocks that a source has taken. */
  readonly refills: number;
  /** Calls of a source that had to wait for a refill. */
  readonly waits: number;
  /** Identities that a source has dropped. */
  readonly dropped: number;
}

/** Functions that are called when something happens. They should be short. What they return or throw is ignored. */
export interface Hooks {
  /** A connection is there, to this server. */
  readonly onConnect?: ((server: string) => unknown) | undefined;
  /** This server has failed, for this reason. */
  readonly onFailover?: ((server: string, cause: string) => unknown) | undefined;
  /** A source has taken a block of so many identities. */
  readonly onRefill?: ((identities: number) => unknown) | undefined;
}

/** The hooks and counters of one client or source. */
export class Watch {
  readonly counters: { -readonly [Name in keyof Counters]: number } = {
    requests: 0,
    identities: 0,
    connects: 0,
    failures: 0,
    refills: 0,
    waits: 0,
    dropped: 0,
  };
  readonly #hooks: Hooks;

  constructor(hooks: Hooks) {
    this.#hooks = hooks;
  }

  connected(server: string): void {
    this.counters.connects += 1;
    quietly(() => this.#hooks.onConnect?.(server));
  }

  failed(server: string, cause: string): void {
    this.counters.failures += 1;
    quietly(() => this.#hooks.onFailover?.(server, cause));
  }

  refilled(identities: number): void {
    this.counters.refills += 1;
    quietly(() => this.#hooks.onRefill?.(identities));
  }
}

function quietly(hook: () => unknown): void {
  try {
    const returned = hook();
    // An async function rejects where another throws.
    if (returned instanceof Promise) {
      returned.catch(() => undefined);
    }
  } catch {
    // The fault of a hook must not become the fault of a call.
  }
}
