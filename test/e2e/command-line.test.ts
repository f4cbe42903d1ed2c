import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnRune, type RuneProcess } from '../support/spawn-rune.js';
import { newId } from '../../services/shared/messages/ids.js';
import { eventually } from '../support/eventually.js';
import { findProcesses } from '../support/processes.js';
import { freePort } from '../support/free-port.js';
import { sshNode, startWorld, type World } from '../support/world.js';

interface RunDocument {
  readonly executionId: string;
  readonly state: string;
  readonly runs: readonly {
    readonly node: string;
    readonly runId: string;
    readonly state: string;
    readonly result?: { readonly output: Record<string, unknown> };
    readonly error?: { readonly errorData: { readonly name: string } };
    readonly cancelConfirmed?: boolean;
  }[];
}

describe('the command line, against the real services', () => {
  let world: World;
  const rune = (...args: string[]): RuneProcess =>
    spawnRune(args, { env: { RUNE_SERVER: world.lom.address } });
  const ended = async (
    process: RuneProcess,
  ): Promise<{ code: number | string; out: string; err: string }> => {
    const code = await process.exited;
    return { code, out: process.out(), err: process.err() };
  };

  before(async () => {
    const closed = await freePort();
    world = await startWorld({
      nodes: (sshd) => ({
        unreachable: { ...sshNode(sshd, 'root'), port: closed },
        changed: { ...sshNode(sshd, 'root'), host_key_fingerprints: [`SHA256:${'A'.repeat(43)}`] },
      }),
    });
  });
  after(() => world.stop());

  it('prints facts of a node as readable fields and exits 0', async () => {
    const { code, out, err } = await ended(rune('run', 'host-facts', '--node', 'user'));
    assert.equal(code, 0, err);
    assert.match(out, /^kernel: +\S/m);
    assert.match(err, /user +succeeded in/);
  });

  it('gives three honest outcomes for a good, an unreachable and a changed node, and exits 6', async () => {
    const { code, out, err } = await ended(
      rune(
        'run',
        'host-facts',
        '--node',
        'user',
        '--node',
        'unreachable',
        '--node',
        'changed',
        '--output',
        'json',
      ),
    );
    assert.equal(code, 6, err);
    const document = JSON.parse(out) as RunDocument;
    assert.equal(document.state, 'EXECUTION_STATE_PARTIAL');
    const named = new Map(document.runs.map((run) => [run.node, run.error?.errorData.name]));
    assert.equal(named.get('user'), undefined);
    assert.equal(named.get('unreachable'), 'NODE_UNREACHABLE');
    assert.equal(named.get('changed'), 'HOST_KEY_CHANGED');
  });

  it('says for people what happened on each node and what to do next', async () => {
    const { err } = await ended(rune('run', 'noop', '--node', 'changed', '--node', 'unreachable'));
    assert.match(err, /HOST_KEY_CHANGED/);
    assert.match(err, /NODE_UNREACHABLE/);
    assert.match(err, /Somebody may be listening/);
  });

  it('cancels on Ctrl-C, waits for the confirmed kill, and leaves no process on the node', async () => {
    const process = rune('run', 'sleep-for', '--node', 'user', '--output', 'ndjson');
    await eventually(() => process.out().includes('sleeping'), { label: 'the log line of the plugin' });
    process.child.kill('SIGINT');
    const { code, out, err } = await ended(process);
    assert.equal(code, 130, err);
    const events = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { runId?: string; outcome?: { cancelConfirmed?: boolean } });
    const outcome = events.find((event) => event.outcome !== undefined);
    assert.equal(outcome?.outcome?.cancelConfirmed, true);
    assert.deepEqual(findProcesses(`RUNE_RUN_ID=${outcome?.runId}`), []);
  });

  it('converts parameters to the types of the action, and names the one that is wrong', async () => {
    const good = await ended(
      rune('run', 'sleep-for', '--node', 'here', '--param', 'seconds=0', '--output', 'json'),
    );
    assert.equal(good.code, 0, good.err);
    const bad = await ended(rune('run', 'sleep-for', '--node', 'here', '--param', 'seconds=soon'));
    assert.equal(bad.code, 2, bad.err);
    assert.match(bad.err, /seconds/);
    const refused = await ended(rune('run', 'sleep-for', '--node', 'here', '--param', 'seconds=601'));
    assert.equal(refused.code, 4, refused.err);
    assert.match(refused.err, /seconds/);
  });

  const codes: [title: string, args: string[], code: number][] = [
    ['a plugin that failed', ['run', 'fail-with', '--node', 'here', '--param', 'exit_code=3'], 1],
    ['a timeout', ['run', 'sleep-for', '--node', 'here', '--timeout', '1s'], 124],
    ['a bad flag', ['run', 'noop', '--nodes', 'here'], 2],
    ['no action', ['run', '--node', 'here'], 2],
    ['an unknown action', ['run', 'nope', '--node', 'here'], 4],
    ['an unknown node', ['run', 'noop', '--node', 'nope'], 4],
    ['an unacknowledged destructive action', ['run', 'spoil-node', '--node', 'here'], 4],
    ['a dry run that is not supported', ['run', 'sleep-for', '--node', 'here', '--dry-run'], 4],
    ['a node that cannot be reached', ['run', 'noop', '--node', 'unreachable'], 6],
    ['a service that is not there', ['run', 'noop', '--node', 'here', '--server', '127.0.0.1:1'], 5],
    ['a plan', ['run', 'spoil-node', '--node', 'unreachable', '--plan'], 0],
    ['an acknowledged destructive action', ['run', 'spoil-node', '--node', 'here', '--yes'], 0],
    ['the list of actions', ['actions'], 0],
    ['one action', ['actions', 'show', 'host-facts'], 0],
    ['the list of nodes', ['nodes'], 0],
    ['one node, probed', ['nodes', 'show', 'user', '--probe'], 0],
    ['a check of everything', ['doctor', '--node', 'user'], 0],
  ];
  for (const [title, args, expected] of codes) {
    it(`exits ${expected} for ${title}`, async () => {
      const { code, out, err } = await ended(rune(...args));
      assert.equal(code, expected, `${out}\n${err}`);
    });
  }

  it('says LOST and exits 3 when the mediator dies and is started again', async () => {
    const own = await startWorld({ testActionsOnly: true });
    try {
      const process = spawnRune(['run', 'sleep-for', '--node', 'here'], {
        env: { RUNE_SERVER: own.lom.address },
      });
      await process.says('sleeping');
      own.lmm.kill('SIGKILL');
      await own.restart('lmm');
      const { code, err } = await ended(process);
      assert.equal(code, 3, err);
      assert.match(err, /OUTCOME_UNKNOWN/);
    } finally {
      await own.stop();
    }
  });

  it('saves result and log of each node', async () => {
    const directory = join(world.directory, 'saved');
    const { code, err } = await ended(
      rune(
        'run',
        'show-context',
        '--node',
        'user',
        '--node',
        'here',
        '--param',
        'text=žluť',
        '--save',
        directory,
      ),
    );
    assert.equal(code, 0, err);
    for (const node of ['user', 'here']) {
      const result = JSON.parse(readFileSync(join(directory, node, 'result.json'), 'utf8')) as {
        params: object;
      };
      assert.deepEqual(result.params, { text: 'žluť' });
      assert.match(readFileSync(join(directory, node, 'stderr.log'), 'utf8'), /careful\nplain\n/);
    }
  });

  it('keeps no secret in its records, and asks for it when an execution is to run again', async () => {
    const secret = `secret-${newId()}`;
    const file = join(world.directory, 'password');
    writeFileSync(file, `${secret}\n`);
    const password = ['--param', `password=@${file}`];
    const first = await ended(
      rune('run', 'keep-secret', '--node', 'user', '-p', 'name=x', ...password, '--output', 'json'),
    );
    assert.equal(first.code, 0, first.err);
    const { executionId, runs } = JSON.parse(first.out) as RunDocument;
    assert.equal(runs[0]?.result?.output['length'], secret.length);

    const store = readdirSync(world.directory).filter((name) => name.startsWith('rune.db'));
    assert(store.length > 0);
    for (const name of store)
      assert(!readFileSync(join(world.directory, name)).includes(secret), `${name} holds the secret`);
    assert(![...world.lom.log, ...world.lmm.log].some((line) => line.includes(secret)));
    const shown = await ended(rune('executions', 'show', executionId, '--output', 'json'));
    const { execution } = JSON.parse(shown.out) as { execution: { params: object } };
    assert.deepEqual(execution.params, { name: 'x', password: null });

    const again = await ended(rune('executions', 'rerun', executionId));
    assert.equal(again.code, 4, again.err);
    assert.match(again.err, /SECRET_NOT_RECORDED/);
    const other = await ended(rune('executions', 'rerun', executionId, '-p', 'name=y', ...password));
    assert.equal(other.code, 4, other.err);
    assert.match(other.err, /name is no secret/);
    const given = await ended(rune('executions', 'rerun', executionId, ...password));
    assert.equal(given.code, 0, given.err);
    assert.match(given.out, new RegExp(`length: +${secret.length}`));
  });
});
