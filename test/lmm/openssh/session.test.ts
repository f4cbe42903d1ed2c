import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { openSession } from '../../../services/lmm/transports/openssh/session.js';
import type { ExecResult } from '../../../services/lmm/transports/ssh/connection.js';

const OPENED = 'debug1: mux_client_request_session: master session id: 2';

/** Asks for a session where `script` stands for the system's ssh. */
const ask = (script: string): Promise<ExecResult> =>
  openSession({
    ssh: { program: '/bin/bash', argv: ['--norc', '-c', script], environment: {}, node: 'web01' },
    lossReason: () => Promise.resolve('nobody knows'),
  });

describe('a session of the system’s ssh is open', () => {
  for (const [when, script, words] of [
    ['when ssh says so', `printf 'debug1: hello\\r\\n${OPENED}\\r\\n' >&2`, /^$/],
    [
      'when ssh says so behind words of the node, which are passed on',
      `printf 'debug1: hello\\r\\nwelcome${OPENED}\\r\\n, you\\n' >&2`,
      /^welcome, you\n$/,
    ],
    [
      'when ssh says so between many words of the node',
      `printf -v x %100000s; printf '%s\\n' "$x" '${OPENED}' "$x" >&2`,
      /^ {100000}\n(debug1: .*\n)? {100000}\n$/,
    ],
    ['when the node says more than ssh would, whose own word got lost', `printf %20000s >&2`, /^ {20000}$/],
  ] as const) {
    it(when, async () => {
      const result = await ask(`${script}; cat`);
      assert(result.kind === 'open', result.kind);
      const { stdin, stdout, stderr, ended } = result.channel;
      stdin.end('up and down');
      assert.equal(await text(stdout), 'up and down');
      assert.match(await text(stderr), words);
      assert.deepEqual(await ended, { kind: 'exited', exitCode: 0, signal: null });
    });
  }

  it('never, when ssh ends without a word, or says that it was refused', async () => {
    assert.equal((await ask('exit 255')).kind, 'dead');
    const refused = 'mux_client_request_session: session request failed: Session open refused by peer';
    assert.equal((await ask(`echo '${refused}' >&2; exit 255`)).kind, 'refused');
  });
});
