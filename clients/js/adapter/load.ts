/** Workers that take identities and write them down, until they are told to end. */

import { closeSync, openSync, writeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';

import type { Client, Source } from 'ipseity';

import { described } from './answers.js';

/** After so many calls a worker lets the event loop turn: a source that holds enough would keep it for itself. */
const CALLS_A_TURN = 8;

/** So many identities are written to the file at once. */
const LINES_AT_ONCE = 1024;

/** Some workers. */
export class Load {
  readonly #taker: Client | Source;
  readonly #workers: Promise<void>[];
  readonly #errors: Record<string, number> = {};
  #identities = 0;
  #longestMs = 0;
  #isEnding = false;

  /** Begins so many workers. Each writes to a file of its own, `PATH.0`, `PATH.1`, ... */
  constructor(taker: Client | Source, workers: number, path: string) {
    this.#taker = taker;
    this.#workers = Array.from({ length: workers }, (_, worker) => this.#work(`${path}.${String(worker)}`));
  }

  /** Ends them, and tells what they did. */
  async end(): Promise<Record<string, unknown>> {
    this.#isEnding = true;
    await Promise.all(this.#workers);
    return { identities: this.#identities, errors: this.#errors, longest_ms: Math.ceil(this.#longestMs) };
  }

  async #work(path: string): Promise<void> {
    const file = openSync(path, 'w');
    let lines: string[] = [];
    const write = (): void => {
      writeSync(file, lines.join(''));
      lines = [];
    };
    for (let calls = 1; !this.#isEnding; calls += 1) {
      const began = performance.now();
      try {
        lines.push(`${(await this.#taker.next()).toString()}\n`);
        this.#identities += 1;
      } catch (error) {
        const name = described(error).class;
        this.#errors[name] = (this.#errors[name] ?? 0) + 1;
        await turn();
      }
      this.#longestMs = Math.max(this.#longestMs, performance.now() - began);
      if (calls % CALLS_A_TURN === 0) {
        await turn();
      }
      if (lines.length >= LINES_AT_ONCE) {
        write();
      }
    }
    write();
    closeSync(file);
  }
}
