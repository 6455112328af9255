/**
 * How many identities a second the library takes, beside what one would use instead.
 *
 * It starts a server of its own, and a Redis if `redis-server` is installed, on free ports of this machine, and ends
 * them. See bench/run.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import { Snowflake } from '@sapphire/snowflake';
import FlakeId from 'flake-idgen';
import { Redis } from 'ioredis';
import { monotonicFactory } from 'ulid';
import { v7 } from 'uuid';

import { Client, Source } from '../dist/src/index.js';

/** How long each measurement takes, in milliseconds; the first of the rounds only warms up. */
const ROUND_MS = Number(process.env.ROUND_MS ?? 1000);
const ROUNDS = 4;

/** So many are taken between two looks at the clock, where taking needs no network. */
const AT_ONCE = 256;

const directory = mkdtempSync(join(tmpdir(), 'ipseity-bench-'));
const children = [];
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

function start(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.on('error', () => undefined);
  children.push(child);
  child.said = '';
  child.stdout.on('data', (chunk) => (child.said += chunk));
  child.stderr.on('data', (chunk) => (child.said += chunk));
  return child;
}

async function ipseity(...flags) {
  const child = start(process.env.IPSEITY_BIN, ['--pid', '1', '--listen', '127.0.0.1:0', ...flags]);
  for (;;) {
    const address = /listens on ([0-9.:]+): pid/.exec(child.said)?.[1];
    if (address !== undefined) return address;
    if (child.exitCode !== null) throw new Error(child.said);
    await wait(10);
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Redis without a disk. `undefined` if it is not installed. */
async function redis() {
  const port = await freePort();
  const flags = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const child = start('redis-server', [...flags, '--dir', directory]);
  let isMissing = false;
  child.on('error', () => (isMissing = true));
  while (!child.said.includes('Ready to accept connections')) {
    if (isMissing || child.exitCode !== null) return undefined;
    await wait(10);
  }
  return new Redis(port, '127.0.0.1');
}

/** Identities a second of so many tasks that call `take`, which gives how many it has taken. */
async function measure(tasks, take) {
  const rates = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    let taken = 0;
    const began = performance.now();
    await Promise.all(
      Array.from({ length: tasks }, async () => {
        while (performance.now() - began < ROUND_MS) {
          // Not `taken += await`: that would read it before, and lose what others add meanwhile.
          const more = await take();
          taken += more;
        }
      }),
    );
    rates.push((taken / (performance.now() - began)) * 1000);
  }
  return rates.slice(1).sort((a, b) => a - b)[Math.floor((ROUNDS - 1) / 2)];
}

/** Takes many without a network, and then lets the event loop turn. */
function local(take) {
  return async () => {
    for (let count = 0; count < AT_ONCE; count += 1) take();
    await new Promise((resolve) => setImmediate(resolve));
    return AT_ONCE;
  };
}

/** One that is waited for. */
function each(take) {
  return async () => {
    await take();
    return 1;
  };
}

const client = new Client(await ipseity('--data-dir', join(directory, 'state')));
const source = new Source(await ipseity('--ephemeral'));
const cache = await redis();
const flake = new FlakeId();
const snowflake = new Snowflake(1_600_000_000_000n);
const ulid = monotonicFactory();

async function tryMany() {
  for (let count = 0; count < AT_ONCE; count += 1) {
    source.tryNext() ?? (await source.next());
  }
  await new Promise((resolve) => setImmediate(resolve));
  return AT_ONCE;
}

async function nextMany() {
  for (let count = 0; count < AT_ONCE; count += 1) {
    await source.next();
  }
  await new Promise((resolve) => setImmediate(resolve));
  return AT_ONCE;
}

const rows = [
  ['Client.next', each(() => client.next())],
  ['Client.block(1000)', async () => (await client.block(1000)).count],
  ['Source.next', nextMany],
  ['Source.tryNext', tryMany],
  ['Snowflake, @sapphire/snowflake', local(() => snowflake.generate())],
  // It has to wait for the clock when the numbers of a millisecond are used up.
  [
    'Snowflake, flake-idgen',
    each(
      () =>
        new Promise((resolve, reject) => {
          flake.next((error, id) => (error ? reject(error) : resolve(id)));
        }),
    ),
  ],
  ['UUIDv7, uuid', local(() => v7())],
  ['ULID, ulid (monotonic)', local(() => ulid())],
  ...(cache === undefined ? [] : [['Redis INCR, ioredis', each(() => cache.incr('id'))]]),
];

try {
  const rates = [];
  for (const [name, take] of rows) {
    rates.push({ name, one: await measure(1, take), eight: await measure(8, take) });
  }
  const base = rates.find(({ name }) => name === 'Source.tryNext');
  console.log('| identities a second | 1 task | 8 tasks | 1, to `Source` | 8, to `Source` |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const { name, one, eight } of rates) {
    const shares = [one / base.one, eight / base.eight].map((share) => share.toFixed(4));
    console.log(`| ${name} | ${Math.round(one)} | ${Math.round(eight)} | ${shares.join(' | ')} |`);
  }
  if (cache === undefined) console.log('Redis is left out: there is no redis-server.');
} finally {
  cache?.disconnect();
  await Promise.all([client.close(), source.close()]);
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}
