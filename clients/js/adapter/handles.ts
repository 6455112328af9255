/** The commands about clients and sources. */

import { readFileSync } from 'node:fs';

import { Client, Source, type SourceOptions } from 'ipseity';

import type { Answer, Command } from './answers.js';
import { Load } from './load.js';

/** A client or a source that was opened. */
interface Handle {
  readonly taker: Client | Source;
  readonly hooks: { connect: number; failover: number; refill: number };
  load: Load | undefined;
}

/** All that were opened, by their names. */
export class Handles {
  readonly #handles = new Map<string, Handle>();

  /** Carries out a command. */
  async command(command: Command, signal: AbortSignal | undefined): Promise<Answer> {
    if (command.do === 'open') {
      return { ok: { handle: this.#open(command) } };
    }
    const handle = this.#handles.get(String(command.of));
    if (handle === undefined) {
      throw new Error(`there is no ${String(command.of)} to ${command.do}`);
    }
    const { taker, hooks } = handle;
    switch (command.do) {
      case 'next':
        return { ok: { identity: (await taker.next({ signal })).toString() } };
      case 'block': {
        if (!(taker instanceof Client)) {
          return { unsupported: 'a source has no block' };
        }
        const block = await taker.block(Number(command.count), { signal });
        return { ok: { first: block.first.toString(), count: block.count } };
      }
      case 'observe':
        taker.observe(BigInt(String(command.identity)));
        return { ok: {} };
      case 'newest':
        return { ok: taker.newest === undefined ? null : { identity: taker.newest.toString() } };
      case 'counters':
        return { ok: taker.counters };
      case 'hooks':
        return { ok: hooks };
      case 'close':
        await taker.close();
        return { ok: {} };
      case 'load':
        handle.load = new Load(taker, Number(command.workers), String(command.path), Number(command.portion));
        return { ok: {} };
      case 'unload': {
        const { load } = handle;
        handle.load = undefined;
        return { ok: await load?.end() };
      }
      case 'in_fork':
        return { unsupported: 'a process of Node.js does not fork' };
      default:
        return { unsupported: `there is no ${command.do}` };
    }
  }

  /** Closes all of them. */
  async closeAll(): Promise<void> {
    const all = [...this.#handles.values()];
    await Promise.all(all.map(async ({ load }) => load?.end()));
    await Promise.all(all.map(({ taker }) => taker.close()));
  }

  #open(command: Command): string {
    const hooks = { connect: 0, failover: 0, refill: 0 };
    const options: SourceOptions = {
      ...optionsOf((command.options ?? {}) as Record<string, unknown>),
      onConnect: () => (hooks.connect += 1),
      onFailover: () => (hooks.failover += 1),
      onRefill: () => (hooks.refill += 1),
    };
    const servers = command.servers as string[];
    const taker = command.kind === 'source' ? new Source(servers, options) : new Client(servers, options);
    const name = String(this.#handles.size + 1);
    this.#handles.set(name, { taker, hooks, load: undefined });
    return name;
  }
}

function optionsOf(given: Record<string, unknown>): SourceOptions {
  const number = (name: string): number | undefined => given[name] as number | undefined;
  return {
    cluster: given.cluster as string | undefined,
    connectTimeoutMs: number('connect_timeout_ms'),
    replyTimeoutMs: number('reply_timeout_ms'),
    callTimeoutMs: number('call_timeout_ms'),
    idleMaxMs: number('idle_max_ms'),
    blockAgeMaxMs: number('block_age_max_ms'),
    blockMax: number('block_max'),
    first: number('first'),
    tls: tlsOf(given.tls as Record<string, string | undefined> | undefined),
  };
}

function tlsOf(files: Record<string, string | undefined> | undefined): SourceOptions['tls'] {
  const contents = (name: string): Buffer | undefined => {
    const file = files?.[name];
    return file === undefined ? undefined : readFileSync(file);
  };
  return files && { ca: contents('ca'), cert: contents('cert'), key: contents('key') };
}
