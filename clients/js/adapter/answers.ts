/** What the adapter is told and what it answers. */

import {
  ClosedError,
  ConfigurationError,
  ProtocolError,
  RefusedError,
  UnavailableError,
  WrongClusterError,
} from 'ipseity';

import { FrameError } from '../src/frames.js';

/** A command, as it comes. */
export interface Command {
  readonly id?: unknown;
  readonly do: string;
  readonly [field: string]: unknown;
}

/** An answer, without the id. */
export type Answer = { ok: unknown } | { error: Record<string, unknown> } | { unsupported: string };

/** The answer that says that the library gave this error. What is no error of the library is a fault of the adapter. */
export function failed(error: unknown): Answer {
  const { class: name, ...more } = described(error);
  return { error: { class: name, message: error instanceof Error ? error.message : String(error), ...more } };
}

/** The class of an error, in the words of the kit, and what belongs to it. */
export function described(error: unknown): { class: string; [field: string]: unknown } {
  if (error instanceof ConfigurationError) {
    return { class: 'configuration' };
  }
  if (error instanceof UnavailableError) {
    return { class: 'unavailable', failures: error.failures };
  }
  if (error instanceof RefusedError) {
    return { class: 'refused', code: error.code };
  }
  if (error instanceof WrongClusterError) {
    return { class: 'wrongCluster' };
  }
  if (error instanceof ProtocolError || error instanceof FrameError) {
    return { class: 'protocol' };
  }
  if (error instanceof ClosedError) {
    return { class: 'closed' };
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return { class: 'cancelled' };
  }
  return { class: 'adapter' };
}
