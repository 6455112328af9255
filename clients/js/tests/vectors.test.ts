/** The vectors of the conformance kit, by the commands of the adapter. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { described, type Command } from '../adapter/answers.js';
import { textCommand } from '../adapter/texts.js';

type Fields = Record<string, unknown>;

function vectors(name: string): Record<string, Fields[]> {
  const file = join(import.meta.dirname, '../../../../conformance/vectors', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, Fields[]>;
}

function of(all: Record<string, Fields[]>, name: string): Fields[] {
  const some = all[name] ?? [];
  assert.ok(some.length > 0, name);
  return some;
}

function answer(command: Command): unknown {
  return (textCommand(command) as { ok: unknown }).ok;
}

function refuses(command: Command, name: string): void {
  assert.throws(
    () => textCommand(command),
    (error: unknown) => {
      assert.equal(described(error).class, name, JSON.stringify(command));
      return true;
    },
    JSON.stringify(command),
  );
}

test('frames', () => {
  for (const { bytes, message, sender } of of(vectors('frames'), 'frames')) {
    if (sender === 'client') {
      assert.deepEqual(answer({ do: 'encode', message }), { bytes });
    } else {
      assert.deepEqual(answer({ do: 'decode', bytes }), message);
    }
  }
  for (const { bytes } of of(vectors('malformed'), 'malformed')) {
    refuses({ do: 'decode', bytes }, 'protocol');
  }
});

test('identities', () => {
  const all = vectors('identities');
  for (const forms of of(all, 'identities')) {
    for (const form of ['decimal', 'hex', 'pair']) {
      assert.deepEqual(answer({ do: 'identity', text: forms[form] }), forms);
    }
    assert.deepEqual(answer({ do: 'base32', text: forms.base32 }), forms);
  }
  for (const { text, decimal } of of(all, 'also')) {
    assert.equal((answer({ do: 'identity', text }) as Fields).decimal, decimal, String(text));
  }
  for (const { text, decimal } of of(all, 'also_base32')) {
    assert.equal((answer({ do: 'base32', text }) as Fields).decimal, decimal, String(text));
  }
  for (const { text } of of(all, 'invalid')) {
    refuses({ do: 'identity', text }, 'configuration');
  }
  for (const { text } of of(all, 'invalid_base32')) {
    refuses({ do: 'base32', text }, 'configuration');
  }
});

test('addresses', () => {
  const all = vectors('addresses');
  for (const { text, address } of of(all, 'addresses')) {
    assert.deepEqual(answer({ do: 'address', text }), address, String(text));
  }
  for (const { text } of of(all, 'invalid')) {
    refuses({ do: 'address', text }, 'configuration');
  }
});

test('codes', () => {
  for (const { code, action, closes } of of(vectors('codes'), 'codes')) {
    assert.deepEqual(answer({ do: 'code', code }), { action, closes }, String(code));
  }
});
