import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import ssh2, { type ParsedKey } from 'ssh2';
import { signingKey } from '../../../services/lmm/transports/ssh/signing-key.js';
import { writeTogether } from '../../../services/lmm/transports/ssh/write-together.js';
import { eventually } from '../../support/eventually.js';
import { openServer } from '../../support/open-server.js';
import { startSshd } from '../../support/sshd.js';
import { poolOn } from './pool-on.js';

describe('what a connection does not spend', () => {
  it('are signatures of the other keys of its host', async () => {
    const sshd = await startSshd({ rootOnly: true, extraConfig: ['LogLevel DEBUG3'] });
    try {
      const on = await poolOn(sshd);
      assert.equal((await on.say('echo here')).stdout, 'here\n');
      await on.pool.close();
      await eventually(() => sshd.sessionPids().length === 0, { label: 'the connection to end' });
      assert.match(sshd.log(), /sent 3 hostkeys/);
      assert.doesNotMatch(sshd.log(), /hostkeys-prove/);
    } finally {
      await sshd.stop();
    }
  });

  it('are calls of the system for pieces that are written in one turn', async () => {
    let received = '';
    const server = createServer((peer) => peer.on('data', (chunk) => (received += chunk.toString())));
    const { port, close } = await openServer(server);
    const socket = connect(port, '127.0.0.1');
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    const calls: number[] = [];
    const writev = socket._writev?.bind(socket);
    const write = socket._write.bind(socket);
    socket._writev = (chunks, done) => {
      calls.push(chunks.length);
      writev?.(chunks, done);
    };
    socket._write = (...written) => {
      calls.push(1);
      write(...written);
    };
    writeTogether(socket);
    for (const piece of ['a', 'b', 'c']) socket.write(piece);
    await new Promise(setImmediate);
    socket.write('d');
    socket.end('e');
    await eventually(() => received === 'abcde', { label: 'everything to arrive' });
    assert.deepEqual(calls, [3, 2]);
    socket.destroy();
    await close();
  });

  describe('is reading its private key again', () => {
    const DATA = Buffer.from('to be signed');
    const made = [
      { type: 'ed25519', options: {}, algorithms: [undefined] },
      ...[256, 384, 521].map((bits) => ({ type: 'ecdsa', options: { bits }, algorithms: [undefined] })),
      { type: 'rsa', options: { bits: 1024 }, algorithms: [undefined, 'sha256', 'sha512'] },
    ] as const;
    for (const { type, options, algorithms } of made) {
      const name = [type, ...('bits' in options ? [options.bits] : [])].join(' ');
      it(`and ${name} signs as before`, () => {
        const pair = ssh2.utils.generateKeyPairSync(type as 'rsa', options as { bits: number });
        const parsed = ssh2.utils.parseKey(pair.private) as ParsedKey;
        const key = signingKey(parsed);
        assert.notEqual(key, parsed);
        assert.deepEqual(ssh2.utils.parseKey(key as unknown as string), key);
        for (const algorithm of algorithms) {
          const signature = key.sign(DATA, algorithm);
          assert.equal(parsed.verify(DATA, signature, algorithm), true, algorithm);
        }
        assert.ok((key.sign(DATA, 'no-such-hash') as unknown) instanceof Error);
      });
    }
  });
});
