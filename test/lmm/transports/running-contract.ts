import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { NodeCommand } from '../../../services/lmm/transports/transport.js';
import { eventually } from '../../support/eventually.js';
import type { Link } from '../../support/links.js';
import type { PluginRun } from '../../support/run-plugin.js';
import { ALL_BYTES, itBut, runsOver, type Exceptions } from './runs-over.js';

/** Name and version of the operating system that this machine and its nodes share. */
function osRelease(): { id: string; versionMin: string } {
  const text = readFileSync('/etc/os-release', 'utf8');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(text)?.[1] ?? '';
  return { id: field('ID'), versionMin: field('VERSION_ID') };
}

/** What every link promises about the plugin's process and what it finds. `getLink` is asked when a test runs. */
export function describeRunning(getLink: () => Link, exceptions: Exceptions = {}): void {
  const it = itBut(exceptions);
  const { run, start } = runsOver(getLink);

  for (const code of [0, 1, 97, 126, 127, 128, 130, 137, 143, 255]) {
    it(`tells exit code ${code} from everything else`, async () => {
      assert.deepEqual((await run(`exit ${code}`)).end.end, { exitCode: code });
    });
  }

  for (const signal of ['KILL', 'TERM', 'INT', 'HUP', 'PIPE', 'SEGV']) {
    it(`tells death by ${signal} from an exit code`, async () => {
      assert.deepEqual((await run(`ulimit -c 0; kill -${signal} $$; sleep 10`)).end.end, { signal });
    });
  }

  it('runs the plugin as a fresh process: no variables, jobs, traps, descriptors or functions of others', async () => {
    const done = await run(
      'jobs; trap; declare -F; echo "$0|$#|$-"; for fd in /proc/self/fd/*; do echo "${fd##*/}"; done | sort -n | head -4; ' +
        'for name in $(compgen -e); do echo "env $name"; done',
    );
    const lines = done.stdout().split('\n');
    assert.match(lines[0] ?? '', /^plugin\.sh\|0\|[hBc]+$/);
    const allowed =
      /^env (PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|XDG_RUNTIME_DIR|DBUS_SESSION_BUS_ADDRESS|(https?|no)_proxy|(HTTPS?|NO)_PROXY|RUNE_RUN_ID|PWD|OLDPWD|SHLVL|_)$/;
    for (const line of lines.filter((each) => each.startsWith('env '))) assert.match(line, allowed);
    assert(lines.includes('env RUNE_RUN_ID') && lines.includes('env PATH') && lines.includes('env HOME'));
    assert.deepEqual(lines.slice(1, 4), ['0', '1', '2']);
  });

  it('counts the lines of the plugin as its author does, behind a library of many lines', async () => {
    const script = '#!/usr/bin/env bash\nno_such_command\necho $LINENO\nf() {\n  no_such_either\n}\nf\n';
    const done = await run(script, { library: '# one\n# two\nfrom_library() { echo hello; }\n' });
    assert.equal(done.stdout(), '3\n');
    assert.match(done.stderr(), /^plugin\.sh: line 2: no_such_command: /);
    assert.match(done.stderr(), /line 5: no_such_either: /);
  });

  it('evaluates the library before the plugin', async () => {
    const done = await run('from_library', { library: 'from_library() { echo "hello $1"; }' });
    assert.equal(done.stdout(), 'hello \n');
  });

  it('ends a plugin with a syntax error as bash does, after what stands before it', async () => {
    const done = await run('echo before\nif then\necho after\n');
    assert.equal(done.stdout(), 'before\n');
    assert.match(done.stderr(), /line 2: syntax error/);
    assert('exitCode' in done.end.end && done.end.end.exitCode !== 0);
  });

  for (const locale of ['C', 'C.UTF-8']) {
    it(`keeps every byte of the plugin's own text in the locale ${locale}`, async () => {
      const text = Buffer.from(ALL_BYTES.toString('latin1').replace("'", ''), 'latin1');
      const script = Buffer.concat([
        Buffer.from(`LC_ALL=${locale}\nprintf %s '`),
        text,
        Buffer.from("é日'\n"),
      ]);
      const done = await run(script, {
        library: Buffer.concat([Buffer.from("x='"), text, Buffer.from("'\n")]),
      });
      assert.equal(done.stdout(), text.toString('latin1') + Buffer.from('é日').toString('latin1'));
    });
  }

  it('lets the plugin read its input twice: the second time there is nothing', async () => {
    assert.equal(
      (await run('a=$(cat); b=$(cat); echo "$a|$b"', { input: '{"a":1}' })).stdout(),
      '{"a":1}|\n',
    );
  });

  it('lets a plugin open /dev/stdin, /dev/stdout and /dev/stderr', async () => {
    const done = await run('cat /dev/stdin >/dev/stdout; echo trouble >/dev/stderr', { input: '{}' });
    assert.equal(done.stdout() + done.stderr(), '{}trouble\n');
  });

  it('refuses a plugin with a NUL byte', async () => {
    await assert.rejects(run('echo a\0b'), { name: 'INVALID_REQUEST' });
  });

  it('evaluates helper scripts after the library and before the plugin, whose lines keep their numbers', async () => {
    const done = await run('both\necho $LINENO', {
      library: 'one() { echo one; }',
      helpers: Buffer.from('both() { one; echo two; }\n\n'),
    });
    assert.equal(done.stdout(), 'one\ntwo\n2\n');
  });

  describe('with requirements', () => {
    const startWith = (requires: NodeCommand['requires']): PluginRun => start('echo ran', { requires });
    const thisOs = osRelease();

    it('runs the plugin where the node has all of them', async () => {
      const required = startWith({
        commands: ['bash', '/bin/sh'],
        os: [{ id: 'plan9', versionMin: '' }, { ...thisOs }],
      });
      assert.deepEqual((await required.ending).kind, 'ended');
      assert.equal(required.stdout(), 'ran\n');
    });

    it('starts nothing where a command is missing, and names it', async () => {
      const required = startWith({ commands: ['bash', 'no-such-command', '/no/such/path'], os: [] });
      await assert.rejects(required.ending, {
        name: 'NODE_LACKS_REQUIREMENT',
        message: /lacks the commands no-such-command, \/no\/such\/path\.$/,
      });
      assert.equal(required.startedCount(), 0);
    });

    it('starts nothing on another operating system or an older version, and names both', async () => {
      const { id, versionMin } = thisOs;
      for (const os of [
        [{ id: 'plan9', versionMin: '' }],
        [{ id: 'plan9', versionMin: '4' }],
        [{ id, versionMin: `${versionMin}.1` }],
        [{ id, versionMin: `1${versionMin}` }],
      ]) {
        await assert.rejects(startWith({ commands: ['bash'], os }).ending, (error: Error) => {
          assert.equal(error.name, 'NODE_LACKS_REQUIREMENT');
          assert.ok(error.message.includes(`(it is ${id} ${versionMin})`), error.message);
          return true;
        });
      }
    });
  });

  describe('with delivery as a directory', () => {
    const directory = { delivery: 'directory', library: 'from_library() { echo hello; }' } as const;
    const listing = 'import os, sys; here = os.path.dirname(os.path.abspath(sys.argv[0])); ';

    it('runs a plugin by the interpreter of its first line', async () => {
      const script = `#!/usr/bin/env python3\nimport json, sys\nprint(json.load(sys.stdin)["a"] + 1)\nsys.exit(4)\n`;
      const done = await run(script, { ...directory, input: '{"a":1}' });
      assert.equal(done.stdout(), '2\n');
      assert.deepEqual(done.end.end, { exitCode: 4 });
      assert.equal(done.startedCount(), 1);
    });

    it('puts plugin and library into a directory of its own that is gone afterwards', async () => {
      const script =
        `#!/usr/bin/python3 -u\n${listing}` +
        'print(here); print(oct(os.stat(here).st_mode), oct(os.stat(sys.argv[0]).st_mode)); ' +
        'print(sorted(os.listdir(here)), os.listdir(here + "/lib"))\n';
      const done = await run(script, directory);
      const [folder, modes, names] = done.stdout().split('\n');
      assert.equal(modes, '0o40700 0o100700');
      assert.equal(names, "['lib', 'plugin', 'rune_bpcs.sh'] ['rune_bpcs.sh']");
      assert(folder);
      assert.deepEqual((await run(`[ -e '${folder}' ] || echo gone`)).stdout(), 'gone\n');
    });

    it('lets a plugin source the library from its own folder and from lib', async () => {
      for (const path of ['rune_bpcs.sh', 'lib/rune_bpcs.sh']) {
        const done = await run(
          `#!/bin/bash\n. "$(dirname "\${BASH_SOURCE[0]}")/${path}"\nfrom_library\n`,
          directory,
        );
        assert.equal(done.stdout(), 'hello\n');
      }
    });

    it('puts helper files beside the plugin, and lets those be run that say by what', async () => {
      const done = await run(
        '#!/bin/bash\nhere=${0%/*}\n. "$here/words.sh"; "$here/lib/tools/say" "$1"; stat -c %a "$here"/w*\n',
        {
          ...directory,
          arguments: ['a b'],
          files: [
            { path: 'words.sh', bytes: Buffer.from('echo sourced') },
            { path: 'lib/tools/say', bytes: Buffer.from('#!/bin/sh\necho "said $1"\n') },
          ],
        },
      );
      assert.equal(done.stdout(), 'sourced\nsaid a b\n600\n');
    });

    it('takes bash for a plugin without an interpreter', async () => {
      assert.equal((await run('echo "${BASH_VERSION:+bash}"', directory)).stdout(), 'bash\n');
    });

    it('keeps every byte of the plugin', async () => {
      const text = Buffer.concat([Buffer.from('#!/bin/cat\n'), ALL_BYTES]);
      assert.equal((await run(text, directory)).stdout(), text.toString('latin1'));
    });

    it('did not start a plugin whose interpreter is missing, and says which', async () => {
      const started = start('#!/no/such/thing\n', directory);
      await assert.rejects(started.ending, (error: { name: string; facts: { stderrTail: string } }) => {
        assert.equal(error.name, 'NODE_SETUP_FAILED');
        assert.match(error.facts.stderrTail, /interpreter \/no\/such\/thing is missing/);
        return true;
      });
      assert.equal(started.startedCount(), 0);
    });

    for (const [how, line, changes] of [
      ['kills itself', 'kill -KILL $$', {}],
      ['kills its supervisor', 'kill -KILL $PPID; sleep 86400', {}],
      ['runs into its timeout', 'sleep 86400', { timeoutMs: 700 }],
    ] as const) {
      it(`removes the directory when the plugin ${how}`, async () => {
        const script = `#!/bin/bash\necho "\${BASH_SOURCE[0]%/*}"\n${line}\n`;
        const started = start(script, { ...directory, ...changes });
        await started.ending;
        const folder = started.stdout().trim();
        assert.match(folder, /\/rune\.\w+$/);
        await eventually(async () => (await run(`[ -e '${folder}' ] || echo gone`)).stdout() === 'gone\n', {
          label: `${folder} to be removed`,
        });
      });
    }
  });
}
