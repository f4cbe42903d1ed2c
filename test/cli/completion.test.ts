import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createProgram, type Handlers } from '../../services/cli/cli.js';
import { candidates } from '../../services/cli/completion/candidates.js';
import { completionScript } from '../../services/cli/completion/script.js';
import { startScriptedLom } from '../support/scripted-lom.js';
import { createFakeIo } from './fake-io.js';
import { RUNE } from '../support/spawn-rune.js';

const run = promisify(execFile);

describe('completion', () => {
  const program = createProgram(createFakeIo(), {} as Handlers, () => undefined);
  const catalogue = {
    actions: () => Promise.resolve(['host-facts', 'noop']),
    nodes: () => Promise.resolve(['web01', 'web02', 'db01']),
    modules: () => Promise.resolve(['core', 'lmm-1']),
    executions: (which: 'newest' | 'unfinished') =>
      Promise.resolve(which === 'newest' ? ['0199a', '0199b'] : ['0199b']),
  };
  const cases: [string[], string[], boolean?][] = [
    [['ru'], ['run']],
    [
      [''],
      ['run', 'executions', 'actions', 'nodes', 'modules', 'doctor', 'up', 'plugin', 'completion', 'help'],
    ],
    [
      ['run', ''],
      ['host-facts', 'noop'],
    ],
    [['run', 'no'], ['noop']],
    [['run', 'noop', '--no'], ['--node']],
    [
      ['run', 'noop', '--node', 'web'],
      ['web01', 'web02'],
    ],
    [
      ['run', '--node', 'web01', ''],
      ['host-facts', 'noop'],
    ],
    [['run', '-n', 'd'], ['db01']],
    [['run', '-n', 'web01,d'], ['web01,db01']],
    [
      ['run', 'noop', '-o', ''],
      ['pretty', 'json', 'ndjson'],
    ],
    [['run', 'noop', '--params-file', ''], [], true],
    [['run', 'noop', '--reason', ''], []],
    [['run', 'noop', ''], []],
    [
      ['actions', ''],
      ['list', 'show'],
    ],
    [['actions', 'show', 'h'], ['host-facts']],
    [
      ['executions', ''],
      ['list', 'show', 'watch', 'cancel', 'rerun'],
    ],
    [
      ['executions', 'watch', ''],
      ['0199a', '0199b'],
    ],
    [['executions', 'cancel', ''], ['0199b']],
    [['executions', 'cancel', '--all', '--action', 'n'], ['noop']],
    [['executions', 'list', '--node', 'd'], ['db01']],
    [
      ['executions', 'list', '--state', 'ca'],
      ['cancelling', 'cancelled'],
    ],
    [
      ['nodes', 'show', 'w'],
      ['web01', 'web02'],
    ],
    [
      ['modules', ''],
      ['list', 'show', 'register', 'deregister'],
    ],
    [['modules', 'show', 'c'], ['core']],
    [
      ['modules', 'list', '--type', ''],
      ['bundle', 'mediator'],
    ],
    [['modules', 'register', ''], [], true],
    [
      ['completion', ''],
      ['bash', 'zsh'],
    ],
    [
      ['plugin', ''],
      ['new', 'lint', 'test', 'run'],
    ],
    [['plugin', 'test', ''], [], true],
    [['plugin', 'new', ''], []],
    [
      ['plugin', 'new', 'x', '--language', 'p'],
      ['python', 'perl'],
    ],
    [['help', 'exit'], ['exit-codes']],
  ];
  for (const [words, expected, files = false] of cases) {
    it(`of "rune ${words.join(' ')}" offers ${files ? 'files' : expected.join(', ') || 'nothing'}`, async () => {
      assert.deepEqual(await candidates(program, words, catalogue), { words: expected, files });
    });
  }

  describe('in bash', () => {
    let directory: string;
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'rune-completion-'));
      await writeFile(join(directory, 'rune'), `#!/bin/sh\nexec '${process.execPath}' '${RUNE}' "$@"\n`, {
        mode: 0o755,
      });
      await writeFile(join(directory, 'script.bash'), completionScript('bash'));
    });
    after(() => rm(directory, { recursive: true }));

    /** What bash itself offers for the line. */
    const offered = async (server: string, ...words: string[]) => {
      const { stdout } = await run(
        'bash',
        [
          '--noprofile',
          '--norc',
          '-euc',
          'source script.bash; complete -p rune >&2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rune; printf "%s\\n" "${COMPREPLY[@]}"',
          'bash',
          'rune',
          ...words,
        ],
        {
          cwd: directory,
          env: { PATH: `${directory}:${process.env['PATH']}`, HOME: '/nonexistent', RUNE_SERVER: server },
        },
      );
      return stdout.split('\n').filter(Boolean);
    };

    it('offers commands and flags', async () => {
      assert.deepEqual(await offered('127.0.0.1:1', 'do'), ['doctor']);
      assert.deepEqual(await offered('127.0.0.1:1', 'run', 'x', '--params'), ['--params-file']);
    });

    it('offers actions and nodes of the service, and nothing when it does not answer', async () => {
      const lom = await startScriptedLom(() => ({}));
      try {
        assert.deepEqual(await offered(lom.address, 'run', ''), ['tail-log']);
        assert.deepEqual(await offered(lom.address, 'run', 'tail-log', '--node', 'w'), ['web01']);
      } finally {
        await lom.stop();
      }
      assert.deepEqual(await offered('127.0.0.1:1', 'run', ''), []);
    });

    it('offers files where a flag takes one', async () => {
      assert.deepEqual(await offered('127.0.0.1:1', 'run', 'x', '--params-file', 'scr'), ['script.bash']);
    });
  });
});
