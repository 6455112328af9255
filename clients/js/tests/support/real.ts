/** Real servers, each a process with a state directory of its own. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The program: that of IPSEITY_BIN, or the one that was built beside this library. `undefined` if there is none. */
export function serverBinary(): string | undefined {
  const binary = process.env.IPSEITY_BIN ?? join(import.meta.dirname, '../../../../../target/debug/ipseity');
  try {
    accessSync(binary, constants.X_OK);
    return binary;
  } catch {
    return undefined;
  }
}

/** Why tests with real servers are skipped, or `false` if they are not. */
export const noServer: string | false =
  serverBinary() === undefined &&
  'there is no server to test with: build one (cargo build), or set IPSEITY_BIN';

/** One server. */
export class RealServer implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #directory: string;

  private constructor(
    process: ChildProcess,
    directory: string,
    /** Where it listens. */
    readonly address: string,
    /** Where it speaks HTTP, if it does. */
    readonly httpAddress: string | undefined,
  ) {
    this.#process = process;
    this.#directory = directory;
  }

  /** Starts a server, on a free port unless told, and waits until it listens. */
  static async start(pid: number, ...flags: string[]): Promise<RealServer> {
    const directory = mkdtempSync(join(tmpdir(), 'ipseity-js-'));
    const listen = flags.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    const server = spawn(
      serverBinary() ?? 'ipseity',
      ['--pid', String(pid), '--data-dir', join(directory, 'state'), ...listen, ...flags],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    process.once('exit', () => server.kill('SIGKILL'));
    const said: string[] = [];
    for (const stream of [server.stdout, server.stderr]) {
      createInterface({ input: stream }).on('line', (line) => said.push(line));
    }
    for (;;) {
      const [, address, httpAddress] =
        /listens on ([0-9.:]+)(?: and for HTTP on ([0-9.:]+))?: pid/.exec(said.join('\n')) ?? [];
      if (address !== undefined) {
        return new RealServer(server, directory, address, httpAddress);
      }
      if (server.exitCode !== null) {
        throw new Error(`the server ended: ${said.join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Kills it, and waits until it is gone. Its state directory stays. */
  async kill(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await gone;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
