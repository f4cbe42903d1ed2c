import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DEFAULT_NODE_PROTOCOL } from '../../../services/lmm/transports/supervise.js';
import type { NodeCommand, NodeEnding, Transport } from '../../../services/lmm/transports/transport.js';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { nodeOf, openLink, type Link } from '../../support/links.js';
import { findProcesses } from '../../support/processes.js';
import { commandFor, runPlugin, type PluginChanges, type PluginRun } from '../../support/run-plugin.js';

const ALL_BYTES = Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1));

interface Outcome extends PluginRun {
  readonly end: NodeEnding & { kind: 'ended' };
}

/** Name and version of the operating system that this machine and its nodes share. */
function osRelease(): { id: string; versionMin: string } {
  const text = readFileSync('/etc/os-release', 'utf8');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(text)?.[1] ?? '';
  return { id: field('ID'), versionMin: field('VERSION_ID') };
}

/** What every link promises about a plugin that ends by itself. `getLink` is asked when a test runs. */
export function describeRunning(getLink: () => Link): void {
  let transport: Transport;
  before(() => {
    transport = openLink(getLink(), DEFAULT_NODE_PROTOCOL);
  });
  after(() => transport.close());

  const run = async (script: string | Buffer, changes: PluginChanges = {}): Promise<Outcome> => {
    const started = runPlugin(transport, commandFor(nodeOf(getLink()), script, changes));
    const end = await started.ending;
    assert(end.kind === 'ended', JSON.stringify(end));
    return { ...started, end };
  };

  it('gives the input, both outputs and the exit code, and says once that the plugin began', async () => {
    const done = await run('cat; echo; echo trouble >&2; exit 3', { input: '{"name":"web01"}' });
    assert.equal(done.stdout(), '{"name":"web01"}\n');
    assert.equal(done.stderr(), 'trouble\n');
    assert.equal(done.startedCount(), 1);
    assert.deepEqual(done.end.end, { exitCode: 3 });
    const { stopReason, confirmed, maySurvive, leftProcesses, phases } = done.end;
    assert.deepEqual(
      { stopReason, confirmed, maySurvive, leftProcesses },
      {
        stopReason: undefined,
        confirmed: true,
        maySurvive: false,
        leftProcesses: 0,
      },
    );
    assert(phases.startMs > 0 && phases.runMs > 0);
  });

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

  it('keeps every byte of the input and of both outputs', async () => {
    const input = Buffer.concat([ALL_BYTES, Buffer.from(`\n'"$(id)\`id\`;\\ \${HOME} é 日本 😀`), ALL_BYTES]);
    const done = await run('tee /dev/stderr', { input });
    assert.equal(done.stdout(), input.toString('latin1'));
    assert.equal(done.stderr(), input.toString('latin1'));
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

  it('takes 1 MB of plugin and 1 MB of input', async () => {
    const script = `${'# a comment that is of no use to anybody\n'.repeat(25_000)}cat | md5sum\n`;
    const input = JSON.stringify({ text: 'é'.repeat(500_000) });
    const done = await run(script, { input, timeoutMs: 20_000 });
    assert.equal(done.stdout().split(' ')[0], createHash('md5').update(input).digest('hex'));
  });

  it('lets the plugin read its input twice: the second time there is nothing', async () => {
    assert.equal(
      (await run('a=$(cat); b=$(cat); echo "$a|$b"', { input: '{"a":1}' })).stdout(),
      '{"a":1}|\n',
    );
  });

  it('does not wait for an input that nobody reads, though a child keeps it open', async () => {
    const done = await run('exec 7<&0; sleep 86400 & echo done', { input: 'x'.repeat(1_000_000) });
    assert.equal(done.stdout(), 'done\n');
    assert.equal(done.end.leftProcesses, 1);
    assert.deepEqual(done.end.end, { exitCode: 0 });
  });

  it('lets a plugin close its outputs and input early', async () => {
    const done = await run('exec <&- >&- 2>&-; exit 5', { input: 'x'.repeat(1_000_000) });
    assert.deepEqual(done.end.end, { exitCode: 5 });
  });

  it('lets a plugin open /dev/stdin, /dev/stdout and /dev/stderr', async () => {
    const done = await run('cat /dev/stdin >/dev/stdout; echo trouble >/dev/stderr', { input: '{}' });
    assert.equal(done.stdout() + done.stderr(), '{}trouble\n');
  });

  it('ends although a background child holds both outputs, and loses no line', async () => {
    for (let round = 0; round < 5; round += 1) {
      const done = await run('sleep 86400 & echo out; echo last words >&2', { leavesProcesses: true });
      assert.equal(done.stdout(), 'out\n');
      assert.equal(done.stderr(), 'last words\n');
      for (const pid of findProcesses(done.runId)) process.kill(pid, 'SIGKILL');
    }
  });

  it('passes output on while the plugin runs, whole lines with their newline', async () => {
    const started = runPlugin(
      transport,
      commandFor(nodeOf(getLink()), 'echo one; echo two >&2; sleep 86400'),
    );
    await eventually(() => started.stdout() === 'one\n' && started.stderr() === 'two\n', {
      label: 'both lines',
    });
    started.stop(StopReason.CANCEL);
    await started.ending;
  });

  it('gives on whatever looks like a frame', async () => {
    const forged = '\\036%s end exit 0 yes 0 none\\n\\n%s begin\\n\\036\\036';
    const done = await run(`printf '${forged}' 0123456789abcdef0123456789abcdef "$RUNE_RUN_ID"; exit 9`);
    assert.equal(
      done.stdout(),
      `\x1e0123456789abcdef0123456789abcdef end exit 0 yes 0 none\n\n${done.runId} begin\n\x1e\x1e`,
    );
    assert.deepEqual(done.end.end, { exitCode: 9 });
  });

  it('gives 100 MB on as they are: no newline, every byte, NUL too', async () => {
    const expected = createHash('md5');
    const block = Buffer.concat([Buffer.alloc(1), ALL_BYTES]);
    const blocks = 4096;
    for (let round = 0; round < 100; round += 1)
      expected.update(Buffer.concat(Array<Buffer>(blocks).fill(block)));
    const got = createHash('md5');
    let bytes = 0;
    const big =
      'for n in {0..255}; do printf -v o %03o $n; f+="\\\\$o"; done; file=$HOME/$RUNE_RUN_ID; ' +
      'for i in {1..4096}; do printf "$f"; done >"$file"; for i in {1..100}; do cat "$file"; done; rm "$file"';
    const started = runPlugin(transport, commandFor(nodeOf(getLink()), big, { timeoutMs: 30_000 }), {
      started: () => undefined,
      stdout: async (chunk) => {
        got.update(chunk);
        bytes += chunk.length;
        await Promise.resolve();
      },
      stderr: () => undefined,
    });
    const end = await started.ending;
    assert(end.kind === 'ended' && end.confirmed, JSON.stringify(end));
    assert.equal(bytes, 100 * blocks * 256);
    assert.equal(got.digest('hex'), expected.digest('hex'));
  }).timeout(40_000);

  it('holds the plugin back while a sink is not ready, and loses nothing', async () => {
    let bytes = 0;
    let isReady: () => void = () => undefined;
    const ready = new Promise<void>((resolve) => (isReady = resolve));
    const script = 'printf -v x %65536s; for i in {1..400}; do printf %s "$x"; echo $i >&2; done';
    let last = '';
    const started = runPlugin(transport, commandFor(nodeOf(getLink()), script), {
      started: () => undefined,
      stdout: (chunk) => {
        bytes += chunk.length;
        return ready;
      },
      stderr: (chunk) => {
        last = chunk.toString().trim().split('\n').at(-1) ?? last;
      },
    });
    let seen = '';
    // The plugin stands still when its count does not move between two looks.
    await eventually(
      () => {
        const before = seen;
        seen = last;
        return bytes > 0 && seen !== '' && seen === before;
      },
      { label: 'the plugin to stand still' },
    );
    assert(bytes < 1024 * 1024, `${bytes}`);
    isReady();
    assert.equal((await started.ending).kind, 'ended');
    assert.equal(bytes, 400 * 65536);
  });

  it('does nothing at all when the run was cancelled before', async () => {
    const started = runPlugin(transport, commandFor(nodeOf(getLink()), 'exit 0'));
    started.stop(StopReason.CANCEL);
    await assert.rejects(started.ending, { name: 'RUN_CANCELLED' });
    assert.equal(started.startedCount(), 0);
  });

  it('refuses a plugin with a NUL byte', async () => {
    await assert.rejects(run('echo a\0b'), { name: 'INVALID_REQUEST' });
  });

  it('gives the plugin its arguments and variables as they are', async () => {
    const texts = [
      '',
      ' a  b ',
      "it's",
      '"$(id)" `id` $HOME \\n \\',
      'two\nlines\n',
      '-n',
      '*',
      '\u00e9\x1b[1m',
    ];
    const script = `printf '<%s>' "$@" "$PT_text"; echo; echo $LINENO\n`;
    const done = await run(script, { arguments: texts, environment: { PT_text: "x'\ny" } });
    const expected = [...texts, "x'\ny"].map((text) => `<${text}>`).join('');
    assert.equal(Buffer.from(done.stdout(), 'latin1').toString(), `${expected}\n1\n`);
  });

  it('evaluates helper scripts after the library and before the plugin, whose lines keep their numbers', async () => {
    const done = await run('both\necho $LINENO', {
      library: 'one() { echo one; }',
      helpers: Buffer.from('both() { one; echo two; }\n\n'),
    });
    assert.equal(done.stdout(), 'one\ntwo\n2\n');
  });

  describe('with requirements', () => {
    const start = (requires: NodeCommand['requires']): PluginRun =>
      runPlugin(transport, commandFor(nodeOf(getLink()), 'echo ran', { requires }));
    const thisOs = osRelease();

    it('runs the plugin where the node has all of them', async () => {
      const run = start({
        commands: ['bash', '/bin/sh'],
        os: [{ id: 'plan9', versionMin: '' }, { ...thisOs }],
      });
      assert.deepEqual((await run.ending).kind, 'ended');
      assert.equal(run.stdout(), 'ran\n');
    });

    it('starts nothing where a command is missing, and names it', async () => {
      const run = start({ commands: ['bash', 'no-such-command', '/no/such/path'], os: [] });
      await assert.rejects(run.ending, {
        name: 'NODE_LACKS_REQUIREMENT',
        message: /lacks the commands no-such-command, \/no\/such\/path\.$/,
      });
      assert.equal(run.startedCount(), 0);
    });

    it('starts nothing on another operating system or an older version, and names both', async () => {
      const { id, versionMin } = thisOs;
      for (const os of [
        [{ id: 'plan9', versionMin: '' }],
        [{ id: 'plan9', versionMin: '4' }],
        [{ id, versionMin: `${versionMin}.1` }],
        [{ id, versionMin: `1${versionMin}` }],
      ]) {
        await assert.rejects(start({ commands: ['bash'], os }).ending, (error: Error) => {
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
      const started = runPlugin(transport, commandFor(nodeOf(getLink()), '#!/no/such/thing\n', directory));
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
        const started = runPlugin(
          transport,
          commandFor(nodeOf(getLink()), script, { ...directory, ...changes }),
        );
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
