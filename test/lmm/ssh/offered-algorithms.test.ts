import assert from 'node:assert/strict';
import { watchOfferedAlgorithms } from '../../../services/lmm/transports/ssh/offered-algorithms.js';

describe('the algorithms that a server offers', () => {
  const nameList = (text: string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const packet = (payload: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(payload.length + 5);
    head[4] = 4;
    return Buffer.concat([head, payload, Buffer.alloc(4)]);
  };
  const kexinit = (hostKeys: string): Buffer =>
    packet(
      Buffer.concat([Buffer.from([20]), Buffer.alloc(16), nameList('curve25519-sha256'), nameList(hostKeys)]),
    );
  const read = (...chunks: Buffer[]): readonly string[] => {
    const watched = watchOfferedAlgorithms();
    for (const chunk of chunks) watched.push(chunk);
    return watched.hostKeys();
  };
  const greeting = Buffer.from('Welcome!\r\nSSH-2.0-OpenSSH_9.2p1\r\n');

  it('are read wherever the stream is cut', () => {
    const all = Buffer.concat([greeting, kexinit('ssh-ed25519,rsa-sha2-512'), Buffer.from('more')]);
    for (let at = 0; at <= all.length; at += 1) {
      assert.deepEqual(read(all.subarray(0, at), all.subarray(at)), ['ssh-ed25519', 'rsa-sha2-512']);
    }
    assert.deepEqual(read(...[...all].map((byte) => Buffer.from([byte]))), ['ssh-ed25519', 'rsa-sha2-512']);
  });

  const HOSTILE: [string, Buffer][] = [
    ['nothing but text', Buffer.alloc(300_000, 'x\n')],
    ['a packet of 4 GB', Buffer.concat([greeting, Buffer.alloc(10, 0xff)])],
    ['another packet', Buffer.concat([greeting, packet(Buffer.from([1, 0, 0, 0]))])],
    [
      'a list longer than its packet',
      Buffer.concat([
        greeting,
        packet(Buffer.concat([Buffer.from([20]), Buffer.alloc(16, 0xff), Buffer.alloc(8, 0xff)])),
      ]),
    ],
    ['no names', Buffer.concat([greeting, kexinit('')])],
    ['a packet that is cut', Buffer.concat([greeting, kexinit('ssh-ed25519')]).subarray(0, -20)],
  ];
  for (const [what, bytes] of HOSTILE) {
    it(`are none for ${what}`, () => assert.deepEqual(read(bytes), []));
  }
});
