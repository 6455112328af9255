/** The parts that do no I/O. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Alarm } from '../src/alarm.js';
import { actionOf, closes, isHopeless, nameOf } from '../src/codes.js';
import { Demand } from '../src/demand.js';
import { delayMs } from '../src/dial.js';
import { Failover, pauseMs } from '../src/failover.js';
import { interleaved } from '../src/lookup.js';
import { Queue } from '../src/queue.js';
import { Stock } from '../src/stock.js';
import { plain, quoted } from '../src/text.js';

test('codes say what to do', () => {
  const elsewhere = [5, 6, 7, 8, 34, 35, 36, 37, 38, 39, 40, 43];
  for (let code = 0; code <= 70; code += 1) {
    const action = code === 64 ? 'wrongCluster' : elsewhere.includes(code) ? 'elsewhere' : 'refused';
    assert.equal(actionOf(code), action, String(code));
    assert.equal(closes(code), code < 32 || code > 63, String(code));
    assert.equal(isHopeless(code), [6, 7, 8, 34].includes(code), String(code));
  }
  assert.equal(actionOf(65_535), 'refused');
  assert.equal(nameOf(32), 'badCount');
  assert.equal(nameOf(999), 'code 999');
});

test('a server that fails is avoided, for twice as long each time, and an answer ends it', () => {
  const failover = new Failover(3, 1);
  const none = new Set<number>();
  assert.equal(failover.next(none, 0), 1);
  failover.failed(1, 0);
  assert.equal(failover.next(none, 0), 2);
  assert.equal(failover.next(new Set([2]), 0), 0);
  // The avoided one comes last.
  assert.equal(failover.next(new Set([0, 2]), 0), 1);
  assert.equal(failover.next(new Set([0, 1, 2]), 0), undefined);
  assert.equal(failover.next(none, 999), 2);
  assert.equal(failover.next(none, 1000), 1);
  let now = 0;
  for (const ms of [2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    failover.failed(1, now);
    assert.equal(failover.next(none, now + ms - 1), 2, String(ms));
    assert.equal(failover.next(none, now + ms), 1, String(ms));
    now += 100_000;
  }
  failover.answered(2);
  assert.equal(failover.next(none, now), 2);
  failover.failed(1, now);
  failover.answered(1);
  failover.failed(1, now);
  assert.equal(failover.next(none, now + 1000), 1);
});

test('of servers that are avoided, the one whose time is over first comes first', () => {
  const failover = new Failover(3, 0);
  failover.failed(0, 30);
  failover.failed(1, 20);
  failover.failed(2, 10);
  assert.equal(failover.next(new Set(), 40), 2);
  assert.equal(failover.next(new Set([2]), 40), 1);
  assert.equal(failover.next(new Set([1, 2]), 40), 0);
});

test('waits are random, and twice as long each time up to a bound', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5000].map((rounds) => pauseMs(rounds, 1)),
    [50, 100, 200, 400, 400, 400],
  );
  assert.equal(pauseMs(3, 0), 0);
  assert.equal(pauseMs(3, 0.5), 200);
});

test('the demand of a source doubles while it lasts shortly, and halves while it lasts long', () => {
  const demand = new Demand(100);
  const next = (at: number, waiting: number, dropped = 0): number => {
    const size = demand.next(at, waiting, dropped);
    // One that fails shows no demand.
    assert.equal(demand.next(at, waiting, dropped), size);
    demand.succeeded();
    return size;
  };
  assert.equal(next(0, 1), 16);
  assert.equal(next(99, 1), 32);
  assert.equal(next(199, 1), 32);
  assert.equal(next(1199, 1), 32);
  assert.equal(next(1200, 1), 64);
  assert.equal(next(1200, 1), 100);
  assert.equal(next(2201, 0), 50);
  assert.equal(next(9000, 0), 25);
  assert.equal(next(19_000, 0), 16);
  // What was dropped was not used.
  assert.equal(next(19_000, 0, 5), 16);
  assert.equal(next(19_000, 0, 5), 32);
  // Those who wait are demand too.
  assert.equal(next(19_500, 70, 5), 70);
  assert.equal(next(19_500, 7000, 5), 100);
  assert.equal(new Demand(3).next(0, 1, 0), 3);
});

test('a stock gives the smallest first, and drops what it is told', () => {
  const stock = new Stock();
  stock.add(1025n, 2, 10);
  stock.add(4098n, 1, 20);
  stock.add(8193n, 3, 30);
  assert.equal(stock.count, 6);
  assert.equal(stock.take(), 1025n);
  assert.equal(stock.next, 2049n);
  assert.equal(stock.dropPid(2), 1);
  assert.equal(stock.dropOlder(10), 1);
  assert.equal(stock.count, 3);
  assert.deepEqual([stock.take(), stock.take()], [8193n, 9217n]);
  assert.equal(stock.dropAll(), 1);
  assert.equal(stock.take(), undefined);
  assert.equal(stock.next, undefined);
  assert.equal(stock.count, 0);
});

test('a line gives back in order what was put into it', () => {
  const queue = new Queue<number>();
  let put = 0;
  let got = 0;
  for (let step = 0; step < 2000; step += 1) {
    for (let more = step % 7; more > 0; more -= 1) {
      queue.push(put);
      put += 1;
    }
    for (let less = step % 5; less > 0 && queue.length > 0; less -= 1) {
      assert.equal(queue.peek(), got);
      assert.equal(queue.shift(), got);
      got += 1;
    }
    assert.equal(queue.length, put - got);
  }
  assert.deepEqual(
    queue.drain(),
    Array.from({ length: put - got }, (_, index) => got + index),
  );
  assert.equal(queue.shift(), undefined);
  assert.equal(queue.length, 0);
});

test('the families of addresses take turns', () => {
  assert.deepEqual(interleaved(['::1', '::2', '::3', '1.1.1.1', '::1', '2.2.2.2']), [
    '::1',
    '1.1.1.1',
    '::2',
    '2.2.2.2',
    '::3',
  ]);
  assert.deepEqual(interleaved(['1.1.1.1', '::1']), ['1.1.1.1', '::1']);
  assert.deepEqual(interleaved([]), []);
  assert.equal(delayMs(1000, 1), 250);
  assert.equal(delayMs(100, 1), 50);
  assert.equal(delayMs(100, 99), 10);
});

test('an alarm rings once, can be begun anew, and can be stopped', async () => {
  const rung: string[] = [];
  const stopped = new Alarm(5, true, () => rung.push('stopped'));
  stopped.stop();
  stopped.restart();
  await new Promise<void>((resolve) => {
    const restarted = new Alarm(50, true, () => {
      rung.push('restarted');
      resolve();
    });
    new Alarm(5, true, () => {
      rung.push('rung');
      restarted.restart();
    });
  });
  assert.deepEqual(rung, ['rung', 'restarted']);
});

test('texts of others stay on their line', () => {
  assert.equal(plain('gone\n\u001b[2J'), 'gone\\u{a}\\u{1b}[2J');
  assert.equal(plain('Grüße, 鍵 🔑'), 'Grüße, 鍵 🔑');
  assert.equal(quoted('a"b'), '"a\\"b"');
});
