/** The source before scripted servers. */

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'node:test';

import {
  ClosedError,
  ConfigurationError,
  RefusedError,
  Source,
  UnavailableError,
  WrongClusterError,
} from 'ipseity';

import {
  deadAddress,
  errorReply,
  helloReply,
  identities,
  Scripted,
  serving,
  silent,
  type Asked,
} from './support/scripted.js';

/** Far more than anything here should take, so that no test depends on how busy the machine is. */
const LONG = { callTimeoutMs: 60_000, replyTimeoutMs: 30_000, connectTimeoutMs: 30_000 };

function counts(asked: Asked[]): number[] {
  return asked.flatMap((request) => (request.kind === 'identityRequest' ? [request.count] : []));
}

/** Lets a refill that is under way come. */
async function settled(source: Source, refills: number): Promise<void> {
  while (source.counters.refills < refills) {
    await wait(2);
  }
}

test('the first refill takes 16, with a hello in front, and the next begins when half is left', async () => {
  const asked: Asked[] = [];
  await using server = await Scripted.listen(serving({ on: (request) => (asked.push(request), undefined) }));
  await using source = new Source(server.address, LONG);
  assert.equal(source.newest, undefined);
  assert.equal(source.tryNext(), undefined);
  assert.equal(await source.next(), 1025n);
  assert.deepEqual(
    asked.map(({ kind }) => kind),
    ['helloRequest', 'identityRequest'],
  );
  assert.deepEqual(counts(asked), [16]);
  for (let taken = 2n; taken <= 7n; taken += 1n) {
    assert.equal(source.tryNext(), taken * 1024n + 1n);
  }
  await wait(20);
  assert.deepEqual(counts(asked), [16]);
  assert.equal(source.tryNext(), 8n * 1024n + 1n);
  await settled(source, 2);
  assert.equal(counts(asked).length, 2);
  // What was fetched, and not what was returned, is what the next block must be greater than.
  assert.deepEqual(asked[2]?.kind === 'identityRequest' && asked[2].after, 16n * 1024n + 1n);
  assert.equal(source.newest, 8n * 1024n + 1n);
  assert.equal(source.counters.waits, 1);
  assert.equal(source.counters.identities, 8);
});

test('demand makes refills larger, of as many pipelined requests as it takes', async () => {
  const asked: Asked[] = [];
  const refills: number[] = [];
  await using server = await Scripted.listen(
    serving({ countMax: 20, on: (request) => (asked.push(request), undefined) }),
  );
  await using source = new Source(server.address, {
    ...LONG,
    blockMax: 100,
    onRefill: (count) => refills.push(count),
  });
  let last = 0n;
  for (let taken = 0; taken < 2000; taken += 1) {
    const identity = source.tryNext() ?? (await source.next());
    assert.ok(identity > last);
    last = identity;
  }
  assert.equal(refills[0], 16);
  assert.ok(refills.every((count, index) => count >= 16 && count <= 100 && (index > 0 || count === 16)));
  assert.ok(refills.includes(100), String(refills));
  assert.ok(counts(asked).every((count) => count <= 20));
  assert.equal(last, 2000n * 1024n + 1n);
});

test('a server that gives few at once is asked for few', async () => {
  for (const countMax of [1, 5]) {
    const asked: Asked[] = [];
    await using server = await Scripted.listen(
      serving({ countMax, on: (request) => (asked.push(request), undefined) }),
    );
    await using source = new Source(server.address, LONG);
    const all = await Promise.all(Array.from({ length: 40 }, () => source.next()));
    assert.deepEqual(
      all.map((identity) => identity / 1024n),
      Array.from({ length: 40 }, (_, index) => BigInt(index + 1)),
    );
    // The first request is written before the server has said how many it gives.
    assert.equal(counts(asked)[0], 16);
    assert.ok(
      counts(asked)
        .slice(1)
        .every((count) => count <= countMax),
    );
    assert.equal(source.counters.failures, 0);
  }
});

test('many tasks share a source, and each identity comes once and in order', async () => {
  await using server = await Scripted.listen(serving());
  await using source = new Source(server.address, LONG);
  const all: bigint[] = [];
  await Promise.all(
    Array.from({ length: 50 }, async (_, task) => {
      let last = 0n;
      for (let taken = 0; taken < 200; taken += 1) {
        const identity = await source.next();
        assert.ok(identity > last);
        last = identity;
        all.push(identity);
        if ((task + taken) % 3 === 0) {
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    }),
  );
  assert.equal(new Set(all).size, 10_000);
  assert.equal(source.counters.identities, 10_000);
});

test('calls that wait are served in their order', async () => {
  await using server = await Scripted.listen(serving());
  await using source = new Source(server.address, LONG);
  const order: bigint[] = [];
  await Promise.all(Array.from({ length: 100 }, async () => order.push(await source.next())));
  assert.deepEqual(
    order,
    Array.from({ length: 100 }, (_, index) => BigInt(index + 1) * 1024n + 1n),
  );
  assert.ok(source.counters.waits > 0);
});

test('what is held is dropped when a greater identity is observed', async () => {
  await using server = await Scripted.listen(serving());
  await using source = new Source(server.address, LONG);
  assert.equal(await source.next(), 1025n);
  source.observe(1025n);
  assert.equal(source.counters.dropped, 0);
  // It is smaller than the next one that is held, so nothing is lost.
  source.observe(2048n);
  assert.equal(source.tryNext(), 2049n);
  source.observe(3073n);
  assert.equal(source.counters.dropped, 14);
  assert.equal(source.newest, 3073n);
  const next = await source.next();
  assert.ok(next > 3073n);
  source.observe(5_000_000n);
  assert.ok((await source.next()) > 5_000_000n);
  assert.throws(() => {
    source.observe(2n ** 63n);
  }, ConfigurationError);
});

test('a block that comes and is not greater than what was observed meanwhile is dropped, and another is taken', async () => {
  let requests = 0;
  let answer: (() => void) | undefined;
  const asked = new Promise<void>((arrived) => {
    answer = arrived;
  });
  let release: (() => void) | undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using server = await Scripted.listen(
    serving({
      on: async (request) => {
        if (request.kind === 'identityRequest') {
          requests += 1;
          if (requests === 1) {
            answer?.();
            await released;
          }
        }
        return undefined;
      },
    }),
  );
  await using source = new Source(server.address, LONG);
  const call = source.next();
  await asked;
  source.observe(9n * 1024n);
  release?.();
  assert.ok((await call) > 9n * 1024n);
  assert.equal(source.counters.dropped, 16);
  assert.equal(requests, 2);
});

test('what is held is dropped when it is too old', async () => {
  await using server = await Scripted.listen(serving());
  await using source = new Source(server.address, { ...LONG, blockAgeMaxMs: 40 });
  assert.equal(await source.next(), 1025n);
  await wait(60);
  assert.equal(source.tryNext(), undefined);
  assert.equal(source.counters.dropped, 15);
  assert.equal(await source.next(), 17n * 1024n + 1n);
});

test('what is held of a pid is dropped when its server answers pidConflict or staleState', async () => {
  for (const code of [37, 38]) {
    let requests = 0;
    await using first = await Scripted.listen(
      serving({
        on: (request) => {
          requests += request.kind === 'identityRequest' ? 1 : 0;
          return requests > 1 ? errorReply(code, 'another server has this pid') : undefined;
        },
      }),
    );
    await using second = await Scripted.listen(serving({ pid: 2 }));
    await using source = new Source([first.address, second.address], { ...LONG, first: 0 });
    for (let taken = 1n; taken <= 8n; taken += 1n) {
      assert.equal(source.tryNext() ?? (await source.next()), taken * 1024n + 1n);
    }
    await settled(source, 2);
    assert.equal(source.counters.dropped, 8);
    const next = source.tryNext();
    assert.equal(next, 17n * 1024n + 2n, String(code));
  }
});

test('what came in the same refill of a pid is dropped when its server answers pidConflict', async () => {
  for (const code of [37, 38]) {
    let small = 0;
    await using first = await Scripted.listen(
      serving({
        countMax: 8,
        on: (request) => {
          small += request.kind === 'identityRequest' && request.count <= 8 ? 1 : 0;
          return small > 1 ? errorReply(code, 'another server has this pid') : undefined;
        },
      }),
    );
    await using second = await Scripted.listen(serving({ pid: 2 }));
    await using source = new Source([first.address, second.address], { ...LONG, first: 0 });
    // The first identity of the refill was given to the one who waited before the doubt came.
    await source.next();
    await settled(source, 1);
    assert.equal(source.counters.dropped, 7);
    assert.equal((await source.next()) % 1024n, 2n, String(code));
  }
});

test('other failures leave what is held', async () => {
  let requests = 0;
  await using first = await Scripted.listen(
    serving({
      on: (request) => {
        requests += request.kind === 'identityRequest' ? 1 : 0;
        return requests > 1 ? errorReply(36, 'stopping') : undefined;
      },
    }),
  );
  await using second = await Scripted.listen(serving({ pid: 2 }));
  await using source = new Source([first.address, second.address], { ...LONG, first: 0 });
  for (let taken = 1n; taken <= 8n; taken += 1n) {
    await source.next();
  }
  await settled(source, 2);
  for (let taken = 9n; taken <= 16n; taken += 1n) {
    assert.equal(source.tryNext(), taken * 1024n + 1n);
  }
  assert.equal(source.tryNext(), 17n * 1024n + 2n);
  assert.equal(source.counters.dropped, 0);
});

test('a refill that fails is an error for those who wait, and the next call begins another', async () => {
  let isWell = false;
  await using server = await Scripted.listen(
    serving({
      on: (request) =>
        request.kind === 'identityRequest' && !isWell ? errorReply(33, 'too far') : undefined,
    }),
  );
  await using source = new Source(server.address, LONG);
  const calls = await Promise.allSettled([source.next(), source.next()]);
  for (const call of calls) {
    assert.ok(call.status === 'rejected' && call.reason instanceof RefusedError);
    assert.equal(call.reason.code, 33);
  }
  isWell = true;
  assert.equal(await source.next(), 1025n);
});

test('a call waits no longer than its time', async () => {
  const dead = await deadAddress();
  await using frozen = await Scripted.listen(silent);
  await using source = new Source([frozen.address, dead], { ...LONG, callTimeoutMs: 100, first: 0 });
  await assert.rejects(source.next(), (error: unknown) => {
    assert.ok(error instanceof UnavailableError);
    assert.equal(error.failures.length, 2);
    assert.match(error.message, /no answer within the 100 ms of the call/);
    return true;
  });
});

test('a call that is cancelled leaves the identities to others', async () => {
  let release: (() => void) | undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await using server = await Scripted.listen(
    serving({
      on: async () => {
        await released;
        return undefined;
      },
    }),
  );
  await using source = new Source(server.address, LONG);
  const cancel = new AbortController();
  const cancelled = source.next({ signal: cancel.signal });
  const other = source.next();
  cancel.abort();
  await assert.rejects(cancelled, { name: 'AbortError' });
  release?.();
  assert.equal(await other, 1025n);
  await assert.rejects(source.next({ signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.equal(await source.next(), 2049n);
});

test('a source of the wrong cluster gives nothing', async () => {
  await using server = await Scripted.listen(serving({ cluster: 'east' }));
  await using source = new Source(server.address, { ...LONG, cluster: 'west' });
  await assert.rejects(source.next(), WrongClusterError);
  assert.equal(source.counters.identities, 0);
});

test('a connection that ends in the middle of a refill costs what was on its way, and nothing twice', async () => {
  let sequence = 0n;
  await using server = await Scripted.listen(async (peer, index) => {
    let replies = 0;
    for (let request = await peer.asked(); request !== undefined; request = await peer.asked()) {
      if (request.kind === 'helloRequest') {
        peer.send(helloReply({ countMax: 7 }));
        continue;
      }
      const count = BigInt(Math.min(request.count, 7));
      const least = request.after / 1024n;
      sequence = sequence > least ? sequence : least;
      peer.send(request.count > 7 ? errorReply(32) : identities((sequence + 1n) * 1024n + 1n, request.count));
      sequence += count;
      replies += 1;
      if (replies === 5 + index) {
        return;
      }
    }
  });
  await using source = new Source(server.address, { ...LONG, blockMax: 200 });
  const all = new Set<bigint>();
  let last = 0n;
  for (let taken = 0; taken < 1000; taken += 1) {
    const identity = source.tryNext() ?? (await source.next());
    assert.ok(identity > last);
    last = identity;
    all.add(identity);
  }
  assert.equal(all.size, 1000);
  assert.ok(server.connections > 1);
});

test('close drops what is held, and ends those who wait', async () => {
  await using server = await Scripted.listen(serving());
  const source = new Source(server.address, LONG);
  await source.next();
  await source.close();
  assert.equal(source.counters.dropped, 15);
  assert.throws(() => source.tryNext(), ClosedError);
  await assert.rejects(source.next(), ClosedError);
  await using frozen = await Scripted.listen(silent);
  const other = new Source(frozen.address, LONG);
  const call = other.next();
  await wait(10);
  void other.close();
  await assert.rejects(call, ClosedError);
});

test('what is wrong with the options is said before anything is sent', () => {
  assert.throws(() => new Source('ids', { blockAgeMaxMs: 0 }), /blockAgeMaxMs is 0/);
  assert.throws(() => new Source('ids', { blockMax: 0 }), /blockMax is 0/);
  assert.throws(() => new Source('ids', { blockMax: 2 ** 21 }), /blockMax is 2097152/);
});
