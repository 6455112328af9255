/** Real servers that are killed, frozen and started again while many tasks take identities. */

import assert from 'node:assert/strict';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { test } from 'node:test';

import { Client, ProtocolError, RefusedError, Source } from 'ipseity';

import { noServer, RealServer } from './support/real.js';

/** Tasks that take identities until they are told to end. */
class Load {
  readonly identities: bigint[] = [];
  readonly errors: unknown[] = [];
  longestMs = 0;
  #isEnding = false;
  readonly #tasks: Promise<void>[];

  constructor(takers: (Client | Source)[], tasks: number) {
    this.#tasks = takers.flatMap((taker) => Array.from({ length: tasks }, () => this.#take(taker)));
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.#tasks);
  }

  /** Waits until so many more have come. */
  async more(count: number): Promise<void> {
    const enough = this.identities.length + count;
    while (this.identities.length < enough) {
      await wait(5);
    }
  }

  async #take(taker: Client | Source): Promise<void> {
    let last = 0n;
    while (!this.#isEnding) {
      const began = performance.now();
      try {
        const identity = await taker.next();
        assert.ok(identity > last, 'each task sees its identities increase');
        last = identity;
        this.identities.push(identity);
      } catch (error) {
        this.errors.push(error);
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - began);
      // A source that holds enough must not keep the event loop for itself.
      await turn();
    }
  }
}

const PATIENT = { callTimeoutMs: 60_000, cluster: 'ipseity' };

test('no identity comes twice while servers are killed and frozen', { skip: noServer }, async () => {
  const servers = [await RealServer.start(1), await RealServer.start(2), await RealServer.start(3)];
  try {
    const [one, two, three] = servers;
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    const addresses = servers.map(({ address }) => address);
    const client = new Client(addresses, { ...PATIENT, replyTimeoutMs: 300, first: 0 });
    const source = new Source(addresses, { ...PATIENT, replyTimeoutMs: 300, first: 1, blockMax: 2000 });
    const load = new Load([client, source], 8);
    await load.more(2000);
    await one.kill();
    await load.more(2000);
    two.signal('SIGSTOP');
    await load.more(4000);
    await wait(400);
    await load.more(2000);
    two.signal('SIGCONT');
    await load.more(1000);
    await three.kill();
    await load.more(2000);
    await load.end();
    await Promise.all([client.close(), source.close()]);
    assert.deepEqual(load.errors, []);
    assert.equal(new Set(load.identities).size, load.identities.length);
    assert.ok(client.counters.failures > 0 && source.counters.failures > 0);
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
});

test(
  'a frozen server is left within a reply timeout, and used again when it is back',
  { skip: noServer },
  async () => {
    await using server = await RealServer.start(1);
    await using other = await RealServer.start(2);
    await using client = new Client([server.address, other.address], {
      ...PATIENT,
      replyTimeoutMs: 200,
      first: 0,
    });
    assert.equal((await client.next()) % 1024n, 1n);
    server.signal('SIGSTOP');
    assert.equal((await client.next()) % 1024n, 2n);
    for (let calls = 0; calls < 100; calls += 1) {
      assert.equal((await client.next()) % 1024n, 2n);
    }
    assert.equal(client.counters.failures, 1);
    server.signal('SIGCONT');
    await other.kill();
    assert.equal((await client.next()) % 1024n, 1n);
  },
);

test('what a real server refuses is refused', { skip: noServer }, async () => {
  await using server = await RealServer.start(1, '--max-count', '3', '--max-advance', '1000');
  await using client = new Client(server.address, PATIENT);
  for (const count of [0, 4]) {
    await assert.rejects(
      client.block(count),
      (error: unknown) => error instanceof RefusedError && error.code === 32,
    );
  }
  assert.equal((await client.block(3)).count, 3);
  await using source = new Source(server.address, PATIENT);
  const all = await Promise.all(Array.from({ length: 100 }, () => source.next()));
  assert.equal(new Set(all).size, 100);
  client.observe(2n ** 50n);
  await assert.rejects(client.next(), (error: unknown) => error instanceof RefusedError && error.code === 33);
});

test('a server that speaks HTTP there says so', { skip: noServer }, async () => {
  await using server = await RealServer.start(1, '--http', '127.0.0.1:0');
  const { httpAddress: address } = server;
  assert.ok(address !== undefined);
  await using client = new Client(address, { ...PATIENT, callTimeoutMs: 3000 });
  await assert.rejects(client.next(), (error: unknown) => {
    assert.ok(error instanceof ProtocolError, String(error));
    return error.message.includes('it speaks HTTP there');
  });
});
