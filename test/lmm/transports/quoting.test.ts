import assert from 'node:assert/strict';
import { nodeOf } from '../../support/links.js';
import { openBashChannel, overChannel } from '../../support/bash-channel.js';
import { commandFor, runPlugin } from '../../support/run-plugin.js';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';

const TEXTS_PER_RUN = 500;
/** What a shell, a decoder of escapes or the node protocol itself could take for more than it is. */
const PIECES = [
  ...Array.from({ length: 126 }, (_, at) => String.fromCharCode(at + 1)),
  ...String.raw`\n \x41 \u0041 \' $' $(id) !! %s {a,b} <(id) é 表 😀`.split(' '),
  '`id`',
  '\x01\x7f',
  'go\n',
  'cancel\n',
  '\x80',
  '\x9b',
  "ā'",
  '\u2028',
  '\ufeff',
];

/** The same numbers from 0 to 1 for the same seed. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

function randomText(next: () => number): string {
  const length = Math.floor(next() * (next() < 0.02 ? 2000 : 20));
  return Array.from({ length }, () => PIECES[Math.floor(next() * PIECES.length)]).join('');
}

describe('arguments and variables', () => {
  for (const delivery of ['stream', 'directory'] as const) {
    it(`arrive byte for byte with the delivery ${delivery}, whatever is in them`, async () => {
      const seed = Math.floor(Math.random() * 1_000_000);
      const next = numbersFrom(seed);
      const texts = (): string[] => Array.from({ length: TEXTS_PER_RUN }, () => randomText(next));
      const [words, values] = [texts(), texts()];
      const environment = Object.fromEntries(values.map((value, at) => [`PT_${at}`, value]));
      const script = `#!/usr/bin/env bash
        printf '%s\\0' "$@"
        for ((at = 0; at < ${TEXTS_PER_RUN}; at++)); do name=PT_$at; printf '%s\\0' "\${!name}"; done`;
      const channel = openBashChannel({ PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8' });
      const run = runPlugin(
        overChannel(channel, DEFAULT_NODE_PROTOCOL),
        commandFor(nodeOf({ kind: 'local' }), script, { delivery, arguments: words, environment }),
      );
      await run.ending;
      assert.equal(run.stderr(), '');
      const arrived = Buffer.from(run.stdout(), 'latin1').toString().split('\0').slice(0, -1);
      assert.deepEqual(arrived, [...words, ...values], `seed ${seed}`);
    });
  }
});
