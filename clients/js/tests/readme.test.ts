/** The code in README.md. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { noServer, RealServer } from './support/real.js';

const root = join(import.meta.dirname, '../..');

test('every block of code in README.md runs', { skip: noServer }, async () => {
  const page = readFileSync(join(root, 'README.md'), 'utf8');
  const blocks = [...page.matchAll(/```js\n([^`]*)```/g)].map(([, code = '']) => code);
  assert.ok(blocks.length >= 5);
  await using server = await RealServer.start(1);
  await Promise.all(
    blocks.map(async (code) => {
      const program = code.replaceAll(/'id[12]\.example'/g, `'${server.address}'`);
      await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: root });
    }),
  );
});
