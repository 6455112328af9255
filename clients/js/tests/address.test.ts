import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ConfigurationError, parseAddress } from 'ipseity';

test('addresses are read', () => {
  for (const [text, host, port, tls, shown] of [
    ['127.0.0.1:1', '127.0.0.1', 1, false, '127.0.0.1:1'],
    ['127.0.0.1', '127.0.0.1', 3264, false, '127.0.0.1:3264'],
    ['::1', '::1', 3264, false, '[::1]:3264'],
    ['[::1]', '::1', 3264, false, '[::1]:3264'],
    ['[fe80::1%eth0]:4000', 'fe80::1%eth0', 4000, false, '[fe80::1%eth0]:4000'],
    ['ids:65535', 'ids', 65535, false, 'ids:65535'],
    ['tls://ids', 'ids', 3264, true, 'tls://ids:3264'],
    ['tls://::1', '::1', 3264, true, 'tls://[::1]:3264'],
  ] as const) {
    assert.deepEqual(parseAddress(text), { host, port, tls, text: shown });
    assert.deepEqual(parseAddress(shown), { host, port, tls, text: shown });
  }
});

test('texts that are no address say why', () => {
  for (const [text, reason] of [
    ['', 'names no host'],
    [':3264', 'names no host'],
    ['a b:1', 'names no host'],
    ['a\nb:1', 'names no host'],
    ['a\u202eb:1', 'names no host'],
    ['a/b:1', 'names no host'],
    ['a%eth0:1', 'names no host'],
    ['host:', 'port'],
    ['host:0', 'port'],
    ['host:65536', 'port'],
    ['host:+1', 'port'],
    ['host:1:2', 'port'],
    ['fe80::1%', 'port'],
    ['[::1', '[::1]:3264'],
    ['[::1]3264', '[::1]:3264'],
    ['[host]:1', '[::1]:3264'],
    ['[fe80::1%]:1', '[::1]:3264'],
    ['tls://', 'names no host'],
    ['tls://host:0', 'port'],
    ['tls://tls://host', 'the one scheme that there is'],
    ['TLS://host:1', 'the one scheme that there is'],
    ['https://host', 'the one scheme that there is'],
  ] as const) {
    assert.throws(
      () => parseAddress(text),
      (error: unknown) => {
        assert.ok(error instanceof ConfigurationError);
        assert.ok(error.message.includes(reason), `${text}: ${error.message}`);
        assert.ok(!error.message.includes('\n'));
        return true;
      },
    );
  }
});
