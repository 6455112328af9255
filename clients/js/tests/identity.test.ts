import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  Block,
  ConfigurationError,
  formatIdentity,
  IDENTITY_MAX,
  identityOf,
  isIdentity,
  parseBase32,
  parseIdentity,
  pidOf,
  sequenceOf,
} from 'ipseity';

test('an identity is a sequence of 53 bits and a pid of 10 bits', () => {
  assert.equal(identityOf(1n, 1), 1025n);
  assert.equal(identityOf(2n ** 53n - 1n, 1023), IDENTITY_MAX);
  assert.equal(sequenceOf(1025n), 1n);
  assert.equal(pidOf(1025n), 1);
  assert.equal(sequenceOf(IDENTITY_MAX), 2n ** 53n - 1n);
  assert.equal(pidOf(IDENTITY_MAX), 1023);
  assert.ok(identityOf(1n, 1023) < identityOf(2n, 0));
});

test('what is beyond the ends is refused', () => {
  assert.ok(isIdentity(0n) && isIdentity(IDENTITY_MAX));
  assert.ok(!isIdentity(-1n) && !isIdentity(IDENTITY_MAX + 1n));
  for (const [sequence, pid] of [
    [-1n, 0],
    [2n ** 53n, 0],
    [1n, -1],
    [1n, 1024],
    [1n, 0.5],
    [1n, NaN],
  ] as const) {
    assert.throws(() => identityOf(sequence, pid), ConfigurationError);
  }
  assert.throws(() => formatIdentity(-1n), ConfigurationError);
  assert.throws(() => formatIdentity(IDENTITY_MAX + 1n), ConfigurationError);
  assert.throws(() => formatIdentity(1025 as unknown as bigint), /a bigint is needed/);
});

test('what is written is read', () => {
  for (const [identity, hex, pair, base32] of [
    [0n, '0x0', '0:0', '0000000000000'],
    [1025n, '0x401', '1:1', '0000000000101'],
    [IDENTITY_MAX, '0x7fffffffffffffff', '9007199254740991:1023', '7ZZZZZZZZZZZZ'],
  ] as const) {
    assert.equal(formatIdentity(identity), identity.toString());
    assert.equal(formatIdentity(identity, 'decimal'), identity.toString());
    assert.equal(formatIdentity(identity, 'hex'), hex);
    assert.equal(formatIdentity(identity, 'pair'), pair);
    assert.equal(formatIdentity(identity, 'base32'), base32);
    assert.equal(parseIdentity(identity.toString()), identity);
    assert.equal(parseIdentity(hex), identity);
    assert.equal(parseIdentity(hex.replace('0x', '0X').toUpperCase().replace('0X', '0x')), identity);
    assert.equal(parseIdentity(pair), identity);
    assert.equal(parseBase32(base32), identity);
    assert.equal(parseBase32(base32.toLowerCase()), identity);
  }
  assert.equal(parseIdentity('0001025'), 1025n);
  assert.equal(parseIdentity(`0x${'0'.repeat(100)}401`), 1025n);
  assert.equal(parseIdentity(`${'0'.repeat(100)}1025`), 1025n);
  assert.equal(parseBase32('OOOOOOOOOOiOL'), parseBase32('0000000000101'));
});

test('base32 sorts as text in the order of the numbers', () => {
  const identities = [
    0n,
    1n,
    9n,
    10n,
    31n,
    32n,
    1025n,
    2n ** 40n,
    2n ** 53n,
    IDENTITY_MAX - 1n,
    IDENTITY_MAX,
  ];
  const texts = identities.map((identity) => formatIdentity(identity, 'base32'));
  assert.deepEqual([...texts].sort(), texts);
});

test('texts that are no identity say why', () => {
  for (const text of [
    '',
    ' 1',
    '1 ',
    '+1',
    '-1',
    '1n',
    '1.0',
    '1e3',
    '0x',
    '0x+1',
    '1:',
    ':1',
    '1:1:1',
    '１',
    'x',
  ]) {
    assert.throws(() => parseIdentity(text), /is not an identity: expected decimal/, text);
  }
  for (const text of [
    '9223372036854775808',
    '0x8000000000000000',
    '9007199254740992:0',
    '9'.repeat(100_000),
  ]) {
    assert.throws(() => parseIdentity(text), /beyond the last/);
  }
  assert.throws(() => parseIdentity('1:1024'), /pid 1024 is beyond the last, 1023/);
  assert.throws(() => parseBase32('000000000010'), /12 characters, and 13 are needed/);
  assert.throws(() => parseBase32('00000000001010'), /14 characters/);
  assert.throws(() => parseBase32('00000-0000101'), /"-" is not one of/);
  assert.throws(() => parseBase32('000000000010U'), /"U" is not one of/);
  assert.throws(() => parseBase32('000000000010ı'), /is not one of/);
  assert.throws(() => parseBase32('8000000000000'), /beyond the last/);
});

test('a block gives its identities in order', () => {
  const block = new Block(1025n, 3);
  assert.deepEqual([...block], [1025n, 2049n, 3073n]);
  assert.equal(block.last, 3073n);
  assert.deepEqual([...block].length, block.count);
  assert.deepEqual([...new Block(IDENTITY_MAX, 1)], [IDENTITY_MAX]);
  for (const [first, count] of [
    [1025n, 0],
    [1025n, 1.5],
    [1023n, 1],
    [IDENTITY_MAX, 2],
  ] as const) {
    assert.throws(() => new Block(first, count), ConfigurationError);
  }
});
