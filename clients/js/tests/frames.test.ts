import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { decode, encode, FrameError, FrameReader, type Reply, type Request } from '../src/frames.js';
import { errorReply, frame, helloReply, identities } from './support/scripted.js';

/** The blocks of docs/protocol.md, by their names. */
function protocolBlocks(): Map<string, Buffer> {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/protocol.md'), 'utf8');
  const blocks = [...page.matchAll(/```frame (\S+)\n([^`]*)```/g)];
  return new Map(
    blocks.map(([, name = '', lines = '']) => [name, Buffer.from(lines.replaceAll(/#.*|\s/g, ''), 'hex')]),
  );
}

test('messages have the bytes of docs/protocol.md', () => {
  const blocks = protocolBlocks();
  const requests: Record<string, Request> = {
    identityRequest: { kind: 'identityRequest', count: 1, after: 0n },
    'identityRequest-count-after': { kind: 'identityRequest', count: 3, after: 5122n },
    helloRequest: { kind: 'helloRequest', cluster: 'ipseity' },
    'helloRequest-any': { kind: 'helloRequest', cluster: '' },
  };
  for (const [name, request] of Object.entries(requests)) {
    assert.deepEqual(encode(request), blocks.get(name), name);
  }
  const replies: Record<string, Reply> = {
    identityReply: { kind: 'identityReply', first: 1025n, count: 1 },
    'identityReply-block': { kind: 'identityReply', first: 6145n, count: 3 },
    helloReply: {
      kind: 'helloReply',
      cluster: 'ipseity',
      version: '0.1.0',
      wireVersion: 2,
      countMax: 1000,
      pid: 1,
      standing: 0,
    },
    errorReply: { kind: 'errorReply', code: 34, message: 'exhausted' },
  };
  for (const [name, reply] of Object.entries(replies)) {
    assert.deepEqual(decode(blocks.get(name) ?? Buffer.alloc(0)), reply, name);
  }
});

test('a stream may be cut at every byte', () => {
  const stream = Buffer.concat([
    helloReply(),
    identities(1025n),
    errorReply(34, 'exhausted'),
    identities(2049n, 9),
  ]);
  const read = (parts: Buffer[]): Reply[] => {
    const reader = new FrameReader();
    const messages: Reply[] = [];
    for (const part of parts) {
      reader.push(part);
      for (let message = reader.next(); message !== undefined; message = reader.next()) {
        messages.push(message);
      }
    }
    assert.equal(reader.pending, 0);
    return messages;
  };
  const whole = read([stream]);
  assert.equal(whole.length, 4);
  for (let at = 0; at <= stream.length; at += 1) {
    assert.deepEqual(read([stream.subarray(0, at), stream.subarray(at)]), whole);
  }
  assert.deepEqual(read([...stream].map((byte) => Buffer.from([byte]))), whole);
});

test('what is malformed is refused, as soon as it can be seen', () => {
  const long = (claimed: bigint, bytes = 0): Buffer => {
    const head = Buffer.alloc(10 + bytes);
    head.writeBigUInt64BE(claimed, 2);
    return head;
  };
  for (const [bytes, reason] of [
    [Buffer.from('0000', 'hex'), 'frame length 0: a frame has at least its kind byte'],
    [Buffer.from('000163', 'hex'), 'unknown kind 99'],
    [Buffer.from('000101', 'hex'), 'kind 1 (identityRequest) is not taken on this side of a connection'],
    [Buffer.from('000c02', 'hex'), 'frame length 12: identityReply needs 13'],
    [Buffer.from('020cff', 'hex'), 'frame length 524: errorReply needs 11 to 523'],
    [Buffer.from('001a12', 'hex'), 'frame length 26: helloReply needs 27 to 345'],
    [frame(255, long(1n)), 'a field needs 1 byte more'],
    [frame(255, long(2n ** 63n)), 'a message has 0 to 512 bytes'],
    [frame(255, long(513n)), 'a message has 0 to 512 bytes'],
    [frame(255, long(1n, 2)), 'the body of errorReply has 1 byte more than its fields'],
    [frame(255, Buffer.concat([long(1n), Buffer.from([0xff])])), 'a text in it is not UTF-8'],
    [helloReply({ pid: 1024 }), 'pid 1024 is beyond the last, 1023'],
    [helloReply({ cluster: '' }), 'a cluster name has 1 to 255 bytes, this one has 0'],
    [helloReply({ cluster: 'a\nb' }), 'a cluster name holds no control characters'],
    [helloReply({ cluster: 'a'.repeat(256) }), 'a cluster name has 1 to 255 bytes'],
  ] as const) {
    assert.throws(
      () => decode(bytes),
      (error: unknown) => {
        assert.ok(error instanceof FrameError);
        assert.ok(error.message.includes(reason), error.message);
        return true;
      },
    );
  }
  assert.throws(
    () => decode(Buffer.concat([identities(1025n), Buffer.from([0])])),
    /1 byte more than the frame/,
  );
  assert.throws(() => decode(identities(1025n).subarray(0, 9)), /ends after 9 bytes/);
});
