/** TLS, before scripted servers and a real one. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { Client, ConfigurationError, UnavailableError, type ClientOptions } from 'ipseity';

import { Authority } from './support/certificates.js';
import { noServer, RealServer } from './support/real.js';
import { Scripted, serving, silent } from './support/scripted.js';

const authority = new Authority();
const stranger = new Authority();
after(() => {
  authority[Symbol.dispose]();
  stranger[Symbol.dispose]();
});
const good = authority.leaf('server', 'IP:127.0.0.1,DNS:localhost');
const byAddress = authority.leaf('address', 'IP:127.0.0.1');
const byCommonName = authority.leaf('localhost', 'IP:127.0.0.1');
const byName = authority.leaf('name', 'DNS:localhost');
const own = authority.leaf('alice', 'DNS:alice');

const LONG = { callTimeoutMs: 60_000, replyTimeoutMs: 30_000, connectTimeoutMs: 30_000 };
const TRUSTING: ClientOptions = { ...LONG, first: 0, tls: { ca: authority.cert } };

async function failures(client: Client): Promise<string[]> {
  const error: unknown = await client.next().catch((reason: unknown) => reason);
  assert.ok(error instanceof UnavailableError, String(error));
  return error.failures.map(({ cause }) => cause);
}

test('a server is spoken to by TLS, by its name and by its address', async () => {
  let ends = 0;
  const script = serving();
  await using server = await Scripted.listen((peer, index) => {
    peer.socket.on('end', () => (ends += 1));
    return script(peer, index);
  }, good);
  for (const host of ['127.0.0.1', 'localhost']) {
    const client = new Client(`tls://${host}:${String(server.port)}`, { ...TRUSTING, cluster: 'ipseity' });
    const all = await Promise.all(Array.from({ length: 100 }, () => client.next()));
    assert.equal(new Set(all).size, 100);
    await client.close();
  }
  while (ends < 2) {
    // Close_notify came, and not a reset.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
});

test('a certificate that is not accepted is a failure of the server, with its reason, and waiting cannot help', async () => {
  for (const [leaf, reason] of [
    [authority.leaf('expired', 'IP:127.0.0.1', -1), /its certificate has expired/],
    [authority.leaf('other', 'DNS:other.example'), /its certificate is for another name/],
    [stranger.leaf('strange', 'IP:127.0.0.1'), /its certificate is not signed by a CA that is believed here/],
  ] as const) {
    await using server = await Scripted.listen(serving(), leaf);
    await using client = new Client(`tls://${server.address}`, TRUSTING);
    assert.match((await failures(client))[0] ?? '', reason);
    assert.equal(client.counters.connects, 0);
    assert.equal(client.counters.failures, 1);
    await using other = await Scripted.listen(serving({ pid: 2 }));
    await using both = new Client([`tls://${server.address}`, other.address], TRUSTING);
    assert.equal(await both.next(), 1026n);
  }
});

test('a certificate is for the name or for the address that stands in the list', async () => {
  for (const [leaf, right, wrong] of [
    [byAddress, '127.0.0.1', 'localhost'],
    // Its common name is none of its names.
    [byCommonName, '127.0.0.1', 'localhost'],
    [byName, 'localhost', '127.0.0.1'],
  ] as const) {
    await using server = await Scripted.listen(serving(), leaf);
    await using client = new Client(`tls://${right}:${String(server.port)}`, TRUSTING);
    assert.equal(await client.next(), 1025n);
    await using other = new Client(`tls://${wrong}:${String(server.port)}`, TRUSTING);
    assert.match((await failures(other))[0] ?? '', /its certificate is for another name/);
  }
});

test('the CAs that come with Node.js are believed unless others are named', async () => {
  await using server = await Scripted.listen(serving(), good);
  await using client = new Client(`tls://${server.address}`, LONG);
  assert.match((await failures(client))[0] ?? '', /not signed by a CA that is believed here/);
});

test('the environment cannot switch the check of certificates off', async () => {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  try {
    await using server = await Scripted.listen(serving(), good);
    await using client = new Client(`tls://${server.address}`, { ...LONG, tls: { ca: stranger.cert } });
    assert.match((await failures(client))[0] ?? '', /not signed by a CA/);
  } finally {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  }
});

test('TLS spoken to a server without it, and the other way round', async () => {
  await using plain = await Scripted.listen((peer) => {
    // The errorReply tlsNotOffered, as a server answers.
    peer.socket.once('data', () => {
      peer.socket.end(Buffer.from('000eff0007000000000000000374' + '6c73', 'hex'));
    });
    return peer.untilClosed();
  });
  await using first = new Client(`tls://${plain.address}`, TRUSTING);
  assert.deepEqual(await failures(first), ['it does not speak TLS there: take tls:// away from its address']);
  await using tls = await Scripted.listen(async (peer) => {
    await peer.asked();
    // The alert protocol_version, as a server answers that takes nothing but TLS.
    peer.send(Buffer.from('15030100020246', 'hex'));
  });
  await using second = new Client(tls.address, TRUSTING);
  assert.deepEqual(await failures(second), ['it speaks TLS there: write tls:// before its address']);
});

test('the own certificate is shown to servers that want one', async () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const wanting = { ...good, requestCert: true, rejectUnauthorized: true, ca: authority.cert, maxVersion };
    await using server = await Scripted.listen(serving(), wanting);
    await using client = new Client(`tls://${server.address}`, {
      ...TRUSTING,
      tls: { ca: [authority.cert], cert: own.cert, key: own.key },
    });
    assert.equal(await client.next(), 1025n);
    await using without = new Client(`tls://${server.address}`, TRUSTING);
    assert.match(
      (await failures(without))[0] ?? '',
      /does not accept our certificate, or wants one/,
      maxVersion,
    );
  }
});

test('a server that does not answer the handshake costs the time to connect', async () => {
  await using frozen = await Scripted.listen(silent);
  await using other = await Scripted.listen(serving(), good);
  const causes: string[] = [];
  await using client = new Client([`tls://${frozen.address}`, `tls://${other.address}`], {
    ...TRUSTING,
    connectTimeoutMs: 300,
    onFailover: (_, cause) => causes.push(cause),
  });
  await client.next();
  assert.equal(causes[0], 'the TLS handshake was not complete within 300 ms');
});

test('files that hold nothing of use are told of before anything is sent', () => {
  const { cert } = authority;
  for (const [tls, reason] of [
    [{ ca: own.key }, /tls.ca holds no certificate/],
    [{ ca: cert.replace(/[A-Za-z]{4}/, '****') }, /tls.ca holds no certificate|cannot be read/],
    [{ ca: cert, cert: own.cert }, /cert and key belong together/],
    [{ ca: cert, cert: own.cert, key: good.key }, /cannot be used: .*key values mismatch/],
    [{ ca: cert, cert: own.cert, key: 'nonsense' }, /cannot be used/],
  ] as const) {
    assert.throws(
      () => new Client('tls://ids', { tls }),
      (error: unknown) => error instanceof ConfigurationError && reason.test(error.message),
    );
  }
});

test('a real server by TLS', { skip: noServer }, async () => {
  await using server = await RealServer.start(
    5,
    ...['--tls-cert', good.certFile, '--tls-key', good.keyFile, '--tls-client-ca', authority.certFile],
    ...['--plain', 'never'],
  );
  await using client = new Client(`tls://${server.address}`, {
    ...TRUSTING,
    cluster: 'ipseity',
    tls: { ca: authority.cert, cert: own.cert, key: own.key },
  });
  const blocks = await Promise.all(Array.from({ length: 50 }, () => client.block(10)));
  assert.equal(new Set(blocks.flatMap((block) => [...block])).size, 500);
  await using plain = new Client(server.address, LONG);
  assert.match((await failures(plain))[0] ?? '', /tlsRequired/);
  await using nobody = new Client(`tls://${server.address}`, TRUSTING);
  assert.match((await failures(nobody))[0] ?? '', /certificate/);
});

test('a real server without TLS', { skip: noServer }, async () => {
  await using server = await RealServer.start(6);
  await using client = new Client(`tls://${server.address}`, TRUSTING);
  assert.deepEqual(await failures(client), [
    'it does not speak TLS there: take tls:// away from its address',
  ]);
});
