/** Workers that take identities and write them down, until they are told to end. */

import { closeSync, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Client, Source } from 'ipseity';

import { described } from './answers.js';

/** How long a worker sleeps after each portion, so that the files do not fill the disk. */
const SLEEP_MS = 10;

/** Some workers. */
export class Load {
  readonly #taker: Client | Source;
  readonly #portion: number;
  readonly #workers: Promise<void>[];
  readonly #errors: Record<string, number> = {};
  #identities = 0;
  #longestMs = 0;
  #isEnding = false;

  /**
   * Begins so many workers. Each writes to a file of its own, `PATH.0`, `PATH.1`, ..., and sleeps after a portion of
   * so many calls.
   */
  constructor(taker: Client | Source, workers: number, path: string, portion: number) {
    this.#taker = taker;
    this.#portion = portion;
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
      }
      this.#longestMs = Math.max(this.#longestMs, performance.now() - began);
      if (calls % this.#portion === 0) {
        write();
        await sleep(SLEEP_MS);
      }
    }
    write();
    closeSync(file);
  }
}
