/** The examples, before a real server. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { noServer, RealServer } from './support/real.js';

const directory = join(import.meta.dirname, '../examples');

const outputs: Record<string, RegExp> = {
  'next.js': /^1025 is sequence 1 of pid 1\nhex: 0x401\npair: 1:1\nbase32: 0000000000101\n$/,
  'order.js': /^the answer is greater than the question\n$/,
  'source.js': /^100000 identities, all different, with 1 connection\n$/,
  'errors.js':
    /^configuration: correct the program\nrefused with code 32: correct the request\nunavailable: cannot connect: connection refused\ncancelled: AbortError\n$/,
};

test('every example does what it says', { skip: noServer }, async () => {
  assert.deepEqual(
    readdirSync(directory)
      .filter((name) => name.endsWith('.js'))
      .sort(),
    Object.keys(outputs).sort(),
  );
  await Promise.all(
    Object.entries(outputs).map(async ([name, output]) => {
      await using server = await RealServer.start(1);
      const { stdout } = await promisify(execFile)(process.execPath, [join(directory, name), server.address]);
      assert.match(stdout, output, name);
    }),
  );
});
