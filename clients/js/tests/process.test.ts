/** What a client does to the process that it is in. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

import { Authority } from './support/certificates.js';
import { Scripted, serving, silent } from './support/scripted.js';

/** Runs a program with the library, and gives what it writes. It must end by itself. */
async function run(address: string, program: string): Promise<string> {
  const library = new URL('../src/index.js', import.meta.url).href;
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { Client, Source } from ${JSON.stringify(library)};\n${program}`,
      address,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0, output);
  return output;
}

test('a connection that is idle, and a refill ahead of need, let the process end', async () => {
  let requests = 0;
  await using server = await Scripted.listen(
    serving({
      on: async (request) => {
        requests += request.kind === 'identityRequest' ? 1 : 0;
        // The second refill of the source is never answered.
        return requests > 2 ? new Promise<never>(() => undefined) : Promise.resolve(undefined);
      },
    }),
  );
  const output = await run(
    server.address,
    `const client = new Client(process.argv[1], { replyTimeoutMs: 600000, callTimeoutMs: 600000 });
     const source = new Source(process.argv[1], { replyTimeoutMs: 600000, callTimeoutMs: 600000 });
     console.log(await client.next() > 0n);
     for (let taken = 0; taken < 8; taken += 1) await source.next();
     console.log(source.counters.identities);`,
  );
  assert.equal(output, 'true\n8\n');
});

test('an idle connection by TLS lets the process end', async () => {
  using authority = new Authority();
  await using server = await Scripted.listen(serving(), authority.leaf('server', 'IP:127.0.0.1'));
  const output = await run(
    `tls://${server.address}`,
    `const client = new Client(process.argv[1], { tls: { ca: ${JSON.stringify(authority.cert)} } });
     console.log(await client.next());`,
  );
  assert.equal(output, '1025n\n');
});

test('what waits for the end of close keeps the process alive until then', async () => {
  using authority = new Authority();
  await using server = await Scripted.listen(silent);
  await using secure = await Scripted.listen(silent, authority.leaf('server', 'IP:127.0.0.1'));
  for (const address of [server.address, `tls://${secure.address}`]) {
    const output = await run(
      address,
      `const client = new Client(process.argv[1], { tls: { ca: ${JSON.stringify(authority.cert)} } });
       const call = client.next().catch((error) => console.log(error.name));
       while (client.counters.connects === 0) await new Promise((resolve) => setImmediate(resolve));
       await client.close();
       await call;
       console.log('closed');`,
    );
    assert.equal(output, 'ClosedError\nclosed\n');
  }
});

test('a call that waits keeps the process alive until it has ended', async () => {
  await using server = await Scripted.listen(silent);
  const output = await run(
    server.address,
    `const client = new Client(process.argv[1], { callTimeoutMs: 200 });
     const source = new Source(process.argv[1], { callTimeoutMs: 200 });
     client.next().catch((error) => console.log(error.name));
     source.next().catch((error) => console.log(error.name));`,
  );
  assert.equal(output, 'UnavailableError\nUnavailableError\n');
});
