/** The client before scripted servers. */

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { test } from 'node:test';

import {
  Client,
  ClosedError,
  ConfigurationError,
  ProtocolError,
  RefusedError,
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
  type Script,
} from './support/scripted.js';

/** Far more than anything here should take, so that no test depends on how busy the machine is. */
const LONG = { callTimeoutMs: 60_000, replyTimeoutMs: 30_000, connectTimeoutMs: 30_000 };

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => assert.fail(`it gave ${String(value)}`),
    (error: unknown) => error,
  );
}

async function unavailable(promise: Promise<unknown>): Promise<UnavailableError> {
  const error = await failure(promise);
  assert.ok(error instanceof UnavailableError, String(error));
  return error;
}

test('identities increase, and after is the newest that was seen', async () => {
  const asked: Asked[] = [];
  await using server = await Scripted.listen(serving({ on: (request) => (asked.push(request), undefined) }));
  await using client = new Client(server.address, LONG);
  assert.equal(client.newest, undefined);
  assert.equal(await client.next(), 1025n);
  const block = await client.block(3);
  assert.deepEqual([...block], [2049n, 3073n, 4097n]);
  assert.equal(client.newest, 4097n);
  client.observe(9_000_000n);
  client.observe(5n);
  assert.equal(client.newest, 9_000_000n);
  assert.ok((await client.next()) > 9_000_000n);
  assert.deepEqual(
    asked.map((request) => request.kind === 'identityRequest' && [request.count, request.after]),
    [
      [1, 0n],
      [3, 1025n],
      [1, 9_000_000n],
    ],
  );
  assert.deepEqual(client.counters, {
    requests: 3,
    identities: 5,
    connects: 1,
    failures: 0,
    refills: 0,
    waits: 0,
    dropped: 0,
  });
  assert.equal(server.connections, 1);
});

test('calls that are made together share a connection and a write, and each gets its own reply', async () => {
  const reads: number[][] = [];
  const script = serving();
  await using server = await Scripted.listen((peer, index) => {
    reads.push(peer.reads);
    return script(peer, index);
  });
  await using client = new Client(server.address, { ...LONG, cluster: 'ipseity' });
  const all = await Promise.all(Array.from({ length: 3000 }, () => client.next()));
  assert.deepEqual(
    all,
    Array.from({ length: 3000 }, (_, index) => BigInt(index + 1) * 1024n + 1n),
  );
  assert.equal(server.connections, 1);
  // 1024 are under way at a time, and the hello comes in front of the first.
  assert.ok((reads[0]?.[0] ?? 0) <= 1025);
  const further = await Promise.all(Array.from({ length: 8 }, () => client.next()));
  assert.deepEqual([...further].sort(), [...new Set(further)].sort());
});

test('no more than 1024 requests are under way', async () => {
  let arrived = 0;
  await using server = await Scripted.listen(async (peer) => {
    let sequence = 0n;
    for (let request = await peer.asked(); request !== undefined; request = await peer.asked()) {
      sequence += 1n;
      if (sequence === 1024n) {
        // If more came, they would come now.
        await wait(50);
        arrived = peer.reads.reduce((sum, count) => sum + count, 0);
        peer.send(...Array.from({ length: 1024 }, (_, index) => identities(BigInt(index + 1) * 1024n + 1n)));
      } else if (sequence > 1024n) {
        peer.send(identities(sequence * 1024n + 1n));
      }
    }
  });
  await using client = new Client(server.address, LONG);
  const all = await Promise.all(Array.from({ length: 1500 }, () => client.next()));
  assert.equal(arrived, 1024);
  assert.equal(all.at(-1), 1500n * 1024n + 1n);
});

test('a call that is cancelled shifts no reply of others', async () => {
  const script = serving({
    on: async (request) => {
      await wait(request.kind === 'identityRequest' && request.count === 5 ? 20 : 0);
      return undefined;
    },
  });
  await using server = await Scripted.listen(script);
  await using client = new Client(server.address, LONG);
  await client.next();
  const cancel = new AbortController();
  const cancelled = Array.from({ length: 20 }, () => client.block(5, { signal: cancel.signal }));
  const others = Array.from({ length: 20 }, (_, index) => client.block(index + 6));
  const written = client.counters.requests;
  assert.equal(written, 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(client.counters.requests, 41);
  cancel.abort(new Error('not needed any more'));
  for (const call of cancelled) {
    await assert.rejects(call, { message: 'not needed any more' });
  }
  const blocks = await Promise.all(others);
  assert.deepEqual(
    blocks.map(({ count }) => count),
    Array.from({ length: 20 }, (_, index) => index + 6),
  );
  assert.ok(blocks.every((block, index) => index === 0 || block.first > (blocks[index - 1]?.last ?? 0n)));
  assert.equal(server.connections, 1);
  // One that is cancelled before it was written is not written.
  const before = client.counters.requests;
  const unwritten = new AbortController();
  const call = client.next({ signal: unwritten.signal });
  unwritten.abort();
  await assert.rejects(call, { name: 'AbortError' });
  await client.next();
  assert.equal(client.counters.requests, before + 1);
  await assert.rejects(client.next({ signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('many calls may share one signal, and leave nothing behind at it', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => {
    warnings.push(warning);
  };
  process.on('warning', note);
  await using server = await Scripted.listen(serving());
  await using client = new Client(server.address, LONG);
  const { signal } = new AbortController();
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(Array.from({ length: 100 }, () => client.next({ signal })));
  }
  process.off('warning', note);
  assert.deepEqual(warnings, []);
});

test('a server that cannot serve is left for the next one, and the client stays there', async () => {
  for (const code of [5, 6, 7, 8, 34, 35, 36, 37, 38, 39, 40, 43]) {
    await using first = await Scripted.listen(async (peer) => {
      await peer.asked();
      peer.send(errorReply(code, 'not now'));
      await peer.untilClosed();
    });
    await using second = await Scripted.listen(serving({ pid: 2 }));
    const failed: string[] = [];
    await using client = new Client([first.address, second.address], {
      ...LONG,
      first: 0,
      onFailover: (server, cause) => failed.push(`${server}: ${cause}`),
    });
    assert.equal(await client.next(), 1026n);
    assert.equal(await client.next(), 2050n);
    assert.deepEqual([first.connections, second.connections], [1, 1], String(code));
    assert.equal(failed.length, 1);
    assert.ok(failed[0]?.startsWith(`${first.address}: refused with `), failed[0]);
    assert.equal(client.counters.failures, 1);
  }
});

test('a request that others would refuse too is refused at once, and the connection goes on', async () => {
  for (const [code, isOpen] of [
    [32, true],
    [33, true],
    [63, true],
    [1, false],
    [31, false],
    [68, false],
    [999, false],
  ] as const) {
    let isFirst = true;
    await using server = await Scripted.listen(
      serving({
        on: (request, peer) => {
          if (request.kind === 'identityRequest' && isFirst) {
            isFirst = false;
            if (!isOpen) {
              peer.socket.end(errorReply(code, 'never\n'));
            }
            return isOpen ? errorReply(code, 'never\n') : Buffer.alloc(0);
          }
          return undefined;
        },
      }),
    );
    await using other = await Scripted.listen(serving({ pid: 2 }));
    await using client = new Client([server.address, other.address], { ...LONG, first: 0 });
    const error = await failure(client.next());
    assert.ok(error instanceof RefusedError);
    assert.equal(error.code, code);
    assert.equal(error.server, server.address);
    const [before = '', advice] = error.message.split(': never\\u{a} (');
    assert.ok(before.startsWith(`${server.address} refused the request with `), error.message);
    assert.match(advice ?? '', /^(ask for|check|correct the request)/);
    assert.equal(await client.next(), 1025n);
    assert.deepEqual([server.connections, other.connections], [isOpen ? 1 : 2, 0], String(code));
  }
});

test('calls behind one that is refused get their replies', async () => {
  await using server = await Scripted.listen(serving());
  await using client = new Client(server.address, LONG);
  const [first, second, third] = await Promise.allSettled([client.next(), client.block(0), client.next()]);
  assert.deepEqual([first.status, second.status, third.status], ['fulfilled', 'rejected', 'fulfilled']);
});

test('a frozen server costs one reply timeout, once', async () => {
  await using frozen = await Scripted.listen(silent);
  await using good = await Scripted.listen(serving());
  await using client = new Client([frozen.address, good.address], {
    ...LONG,
    replyTimeoutMs: 100,
    first: 0,
  });
  await Promise.all(Array.from({ length: 50 }, () => client.next()));
  await client.next();
  assert.equal(client.counters.failures, 1);
  assert.deepEqual([frozen.connections, good.connections], [1, 1]);
});

test('the time of a reply begins anew with each reply', async () => {
  await using server = await Scripted.listen(
    serving({
      on: async () => {
        await wait(60);
        return undefined;
      },
    }),
  );
  await using client = new Client(server.address, { ...LONG, replyTimeoutMs: 400 });
  // Ten take longer than one may.
  const all = await Promise.all(Array.from({ length: 10 }, () => client.next()));
  assert.equal(new Set(all).size, 10);
  assert.equal(client.counters.failures, 0);
});

test('a program that was busy itself does not blame the server', async () => {
  await using server = await Scripted.listen(
    serving({
      on: async (request, peer) => {
        if (request.kind === 'identityRequest' && request.count === 2) {
          peer.send(identities(1_025_025n, 2));
          // The reply has left. Now nothing is read until its time is over.
          await new Promise((resolve) => {
            process.nextTick(resolve);
          });
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
          return Buffer.alloc(0);
        }
        return undefined;
      },
    }),
  );
  await using client = new Client(server.address, { ...LONG, replyTimeoutMs: 200 });
  await client.next();
  assert.equal((await client.block(2)).first, 1_025_025n);
  assert.equal(client.counters.failures, 0);
});

test('a call ends with the time of the call, and says what happened at each server', async () => {
  await using frozen = await Scripted.listen(silent);
  const dead = await deadAddress();
  const began = performance.now();
  await using client = new Client([dead, frozen.address], { ...LONG, callTimeoutMs: 150, first: 0 });
  const error = await unavailable(client.next());
  assert.ok(performance.now() - began < 5000);
  assert.deepEqual(error.failures, [
    { server: dead, cause: 'cannot connect: connection refused' },
    { server: frozen.address, cause: 'no answer within the 150 ms of the call' },
  ]);
  assert.ok(error.message.startsWith(`none of 2 servers answered: ${dead}: cannot connect`), error.message);
  // What nobody waits for any more is still measured, so the server is known to be frozen.
  await using other = new Client([frozen.address, dead], { ...LONG, callTimeoutMs: 100, first: 0 });
  assert.equal(
    (await unavailable(other.next())).failures[1]?.cause,
    'it was not asked, because the time of the call was over',
  );
});

test('servers that all fail are asked again until the time is over', async () => {
  let refusals = 0;
  await using server = await Scripted.listen(
    serving({
      on: () => {
        refusals += 1;
        return refusals < 4 ? errorReply(36, 'stopping') : undefined;
      },
    }),
  );
  await using client = new Client([server.address], LONG);
  assert.equal(await client.next(), 1025n);
  assert.equal(refusals, 4);
  assert.equal(server.connections, 4);
  assert.equal(client.counters.failures, 3);
});

test('nobody waits where waiting cannot help', async () => {
  for (const code of [6, 7, 8, 34]) {
    const script: Script = async (peer) => {
      await peer.asked();
      peer.send(errorReply(code, 'for good'));
      await peer.untilClosed();
    };
    await using first = await Scripted.listen(script);
    await using second = await Scripted.listen(script);
    await using client = new Client([first.address, second.address], LONG);
    const error = await unavailable(client.next());
    assert.equal(error.failures.length, 2);
    assert.deepEqual([first.connections, second.connections], [1, 1]);
  }
});

test('a connection that was closed while it was idle is made again, and its server has not failed', async () => {
  for (const how of ['close', 'reset', 'late'] as const) {
    let sequence = 0n;
    const closing: (() => void)[] = [];
    await using server = await Scripted.listen(async (peer) => {
      await peer.asked();
      sequence += 1n;
      peer.send(identities(sequence * 1024n + 1n));
      if (how === 'late') {
        // It is found closed by the next request.
        await peer.asked();
        return;
      }
      await new Promise<void>((resolve) => closing.push(resolve));
      if (how === 'reset') {
        peer.socket.resetAndDestroy();
      }
    });
    await using other = await Scripted.listen(serving({ pid: 2 }));
    await using client = new Client([server.address, other.address], { ...LONG, first: 0 });
    assert.equal(await client.next(), 1025n);
    closing[0]?.();
    await wait(10);
    assert.equal(await client.next(), 2049n, how);
    assert.deepEqual([server.connections, other.connections], [2, 0]);
    assert.equal(client.counters.failures, 0);
  }
});

test('a connection that ends inside a reply, or before the first one, is a failure', async () => {
  for (const [bytes, cause] of [
    [Buffer.alloc(0), 'the server closed the connection without a reply'],
    [identities(1025n).subarray(0, 7), 'the server closed the connection 7 bytes into a reply'],
  ] as const) {
    await using server = await Scripted.listen(async (peer) => {
      await peer.asked();
      peer.send(bytes);
    });
    await using other = await Scripted.listen(serving({ pid: 2 }));
    const causes: string[] = [];
    await using client = new Client([server.address, other.address], {
      ...LONG,
      first: 0,
      onFailover: (_, why) => causes.push(why),
    });
    assert.equal(await client.next(), 1026n);
    assert.deepEqual(causes, [cause]);
  }
});

test('a reply may be cut at every byte', async () => {
  const reply = Buffer.concat([helloReply(), identities(1025n)]);
  await using server = await Scripted.listen(async (peer, index) => {
    await peer.asked();
    await peer.sendCut(reply, index + 1);
    await peer.untilClosed();
  });
  for (let at = 1; at < reply.length; at += 1) {
    await using client = new Client(server.address, { ...LONG, cluster: 'ipseity' });
    assert.equal(await client.next(), 1025n);
  }
  assert.equal(server.connections, reply.length - 1);
});

test('replies that break the protocol end the call, and no other server is asked', async () => {
  for (const [bytes, reason] of [
    [identities(1025n, 2), 'asked for 1 identities, 2 came'],
    [identities(1025n, 0), 'asked for 1 identities, 0 came'],
    [identities(1n), '1 identities from 1 on do not exist'],
    [identities(2n ** 63n), 'do not exist'],
    [identities(5000n), 'identity 5000 is not greater than 5000'],
    [helloReply(), 'helloReply came instead of identityReply'],
    [Buffer.from('000106', 'hex'), 'kind 6 (statusReply)'],
    [Buffer.from('HTTP/1.1 400 Bad Request\r\n'), 'it speaks HTTP there'],
    [Buffer.from('SSH-2.0'), 'check that it is an Ipseity server'],
  ] as const) {
    await using server = await Scripted.listen(async (peer) => {
      await peer.asked();
      peer.send(bytes);
      await peer.untilClosed();
    });
    await using other = await Scripted.listen(serving());
    await using client = new Client([server.address, other.address], { ...LONG, first: 0 });
    client.observe(5000n);
    const error = await failure(client.next());
    assert.ok(error instanceof ProtocolError, String(error));
    assert.equal(error.server, server.address);
    assert.ok(error.message.includes(reason), error.message);
    assert.deepEqual([server.connections, other.connections], [1, 0]);
    assert.equal(client.newest, 5000n);
    assert.equal(client.counters.failures, 0);
  }
});

test('what comes on one connection increases and has one pid', async () => {
  for (const [second, reason] of [
    [identities(1025n), 'identity 1025 is not greater than 1025'],
    [identities(2050n), 'an identity of pid 2 came from the server of pid 1'],
  ] as const) {
    await using server = await Scripted.listen(async (peer) => {
      await peer.asked();
      await peer.asked();
      peer.send(identities(1025n), second);
      await peer.untilClosed();
    });
    await using client = new Client(server.address, LONG);
    const [one, two] = await Promise.allSettled([client.next(), client.next()]);
    assert.equal(one.status, 'fulfilled');
    assert.ok(two.status === 'rejected' && two.reason instanceof ProtocolError);
    assert.ok(two.reason.message.includes(reason), two.reason.message);
  }
  await using hello = await Scripted.listen(async (peer) => {
    await peer.asked();
    await peer.asked();
    peer.send(helloReply({ pid: 7 }), identities(1025n));
    await peer.untilClosed();
  });
  await using client = new Client(hello.address, { ...LONG, cluster: 'ipseity' });
  assert.match(String(await failure(client.next())), /pid 1 came from the server of pid 7/);
});

test('what nobody asked for is told to the next call', async () => {
  let sent: (() => void) | undefined;
  const isSent = new Promise<void>((resolve) => {
    sent = resolve;
  });
  await using server = await Scripted.listen(async (peer, index) => {
    await peer.asked();
    peer.send(identities(BigInt(index + 1) * 4096n + 1n));
    if (index === 0) {
      // The call has ended by then.
      await called;
      peer.socket.write(identities(9_000_001n), sent);
    }
    await peer.untilClosed();
  });
  await using client = new Client(server.address, LONG);
  const called = client.next();
  await called;
  await isSent;
  // It has been sent, and is read in the next turn.
  await wait(50);
  const error = await failure(client.next());
  assert.ok(error instanceof ProtocolError, String(error));
  assert.match(error.message, /nothing had asked for it/);
  assert.equal(await client.next(), 8193n);
});

test('an errorReply that closes may come unasked', async () => {
  await using server = await Scripted.listen(async (peer, index) => {
    await peer.asked();
    const reply = identities(BigInt(index + 1) * 4096n + 1n);
    if (index === 0) {
      peer.send(reply, errorReply(4, 'only 5 bytes of a frame arrived'));
      return;
    }
    peer.send(reply);
    await peer.untilClosed();
  });
  await using client = new Client(server.address, LONG);
  await client.next();
  assert.equal(await client.next(), 8193n);
  assert.equal(client.counters.failures, 0);
});

test('a server of another cluster ends the call', async () => {
  const hellos: Asked[] = [];
  await using server = await Scripted.listen(
    serving({
      cluster: 'east',
      on: (request) => {
        hellos.push(request);
        return undefined;
      },
    }),
  );
  await using strict = await Scripted.listen(async (peer) => {
    await peer.asked();
    peer.send(errorReply(64, 'this server is of cluster "east"'));
  });
  await using other = await Scripted.listen(serving({ pid: 2 }));
  for (const wrong of [server, strict]) {
    await using client = new Client([wrong.address, other.address], { ...LONG, cluster: 'west', first: 0 });
    const calls = await Promise.allSettled([client.next(), client.next()]);
    for (const call of calls) {
      assert.ok(call.status === 'rejected' && call.reason instanceof WrongClusterError);
      assert.equal(call.reason.server, wrong.address);
      assert.match(call.reason.message, /"east"/);
    }
    assert.equal(client.newest, undefined);
  }
  assert.deepEqual(hellos[0], { kind: 'helloRequest', cluster: 'west' });
  assert.equal(other.connections, 0);
  await using right = new Client(server.address, { ...LONG, cluster: 'east' });
  assert.equal(typeof (await right.next()), 'bigint');
  // A client that was told no name sends no hello.
  const before = hellos.length;
  await using any = new Client(server.address, LONG);
  await any.next();
  assert.deepEqual(
    hellos.slice(before).map(({ kind }) => kind),
    ['identityRequest'],
  );
});

test('an idle connection is closed, and the next call makes a new one', async () => {
  let ended = 0;
  const script = serving();
  await using server = await Scripted.listen((peer, index) => {
    peer.socket.on('end', () => (ended += 1));
    return script(peer, index);
  });
  await using client = new Client(server.address, { ...LONG, idleMaxMs: 30 });
  await client.next();
  while (ended === 0) {
    await wait(5);
  }
  await client.next();
  assert.equal(server.connections, 2);
  assert.equal(client.counters.failures, 0);
});

test('a connection that was idle for too long is not used, even if no timer could ring meanwhile', async () => {
  await using server = await Scripted.listen(serving());
  await using client = new Client(server.address, { ...LONG, idleMaxMs: 500 });
  await client.next();
  const { connections } = server;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
  await client.next();
  assert.equal(server.connections, connections + 1);
});

test('close ends calls that are under way, and further ones', async () => {
  await using server = await Scripted.listen(silent);
  const client = new Client(server.address, LONG);
  const call = client.next();
  await wait(20);
  const closed = client.close();
  assert.ok((await failure(call)) instanceof ClosedError);
  await closed;
  await client.close();
  assert.ok((await failure(client.next())) instanceof ClosedError);
  const early = new Client(server.address, LONG);
  const dialing = early.next();
  await early.close();
  assert.ok((await failure(dialing)) instanceof ClosedError);
});

test('all addresses of a name are tried', async () => {
  // The name has two addresses, or one, and the server listens on only one of them.
  await using server = await Scripted.listen(serving());
  await using client = new Client(`localhost:${String(server.port)}`, LONG);
  assert.equal(await client.next(), 1025n);
  await using nowhere = new Client('no-such-name.invalid', { ...LONG, callTimeoutMs: 1500 });
  const error = await unavailable(nowhere.next());
  assert.match(error.message, /cannot look up the name|could not be looked up|no answer within/);
});

test('hooks are told, and what they throw is ignored', async () => {
  await using server = await Scripted.listen(serving());
  const dead = await deadAddress();
  const told: string[] = [];
  await using client = new Client([dead, server.address], {
    ...LONG,
    first: 0,
    onConnect: (address) => {
      told.push(`connect ${address}`);
      throw new Error('a hook');
    },
    onFailover: async (address) => {
      told.push(`failover ${address}`);
      await Promise.reject(new Error('a hook'));
    },
  });
  await client.next();
  assert.deepEqual(told, [`failover ${dead}`, `connect ${server.address}`]);
});

test('the first server is a random one', async () => {
  await using one = await Scripted.listen(serving());
  await using two = await Scripted.listen(serving({ pid: 2 }));
  const pids = new Set<bigint>();
  // All 60 would be the same once in 2^59 runs.
  for (let tries = 0; tries < 60; tries += 1) {
    await using client = new Client([one.address, two.address], LONG);
    pids.add((await client.next()) % 1024n);
  }
  assert.equal(pids.size, 2);
});

test('what is wrong with the options is said before anything is sent', async () => {
  for (const [options, reason] of [
    [{ replyTimeoutMs: 0 }, 'replyTimeoutMs is 0'],
    [{ callTimeoutMs: -1 }, 'callTimeoutMs is -1'],
    [{ connectTimeoutMs: NaN }, 'connectTimeoutMs is NaN'],
    [{ idleMaxMs: Infinity }, 'idleMaxMs is Infinity'],
    [{ idleMaxMs: 2 ** 31 }, 'at most 2147483647 ms'],
    [{ first: 1 }, 'first is 1'],
    [{ first: 0.5 }, 'first is 0.5'],
    [{ cluster: '' }, 'cluster is "": it must be 1 to 255 bytes'],
    [{ cluster: 'ä'.repeat(128) }, 'it must be 1 to 255 bytes'],
    [{ cluster: 'a\u0000' }, 'without control characters'],
    [{ tls: { ca: 'nonsense' } }, 'tls.ca holds no certificate'],
    [{ tls: { cert: 'x' } }, 'belong together'],
  ] as const) {
    assert.throws(
      () => new Client('127.0.0.1', options),
      (error: unknown) => {
        assert.ok(error instanceof ConfigurationError);
        assert.ok(error.message.includes(reason), error.message);
        return true;
      },
    );
  }
  // As from a program without types.
  const misspelled: object = { clusterName: 'orders' };
  assert.throws(
    () => new Client('ids', misspelled),
    /there is no option clusterName: it must be one of cluster, /,
  );
  const trusting: object = { rejectUnauthorized: false };
  assert.throws(
    () => new Client('ids', { tls: trusting }),
    /there is no option tls.rejectUnauthorized: it must be one /,
  );
  assert.throws(() => new Client([]), /the list of servers is empty/);
  assert.throws(() => new Client(['ids', 'http://ids']), /the one scheme that there is/);
  await using client = new Client('127.0.0.1');
  for (const count of [-1, 1.5, 2 ** 32]) {
    assert.ok((await failure(client.block(count))) instanceof ConfigurationError);
  }
  assert.throws(() => {
    client.observe(-1n);
  }, ConfigurationError);
});
