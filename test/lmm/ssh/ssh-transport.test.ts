import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { StopReason } from '../../../services/shared/gen/rune/v1/run.js';
import { eventually } from '../../support/eventually.js';
import { startSshd, type TestSshd } from '../../support/sshd.js';
import { collectOutput, transportOn, type TransportOn } from './transport-on.js';

describe('the SSH transport', () => {
  let sshd: TestSshd;
  let on: TransportOn;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd.stop());
  beforeEach(async () => {
    on = await transportOn(sshd);
  });
  afterEach(() => on.transport.close());

  for (const user of ['root', 'rune-test']) {
    it(`runs a plugin as ${user} and reports its output and how it ended`, async () => {
      const command = on.command('read -r line; echo "$(id -un) $line"; echo note >&2; exit 3', {
        target: on.target({ user }),
        input: Buffer.from('{"a":"$(id)"}\n'),
      });
      const { ending, stdout, stderr } = await on.run(command);
      assert.equal(stdout, `${user} {"a":"$(id)"}\n`);
      assert.equal(stderr, 'note\n');
      assert(ending.kind === 'ended');
      assert.deepEqual(ending.end, { exitCode: 3 });
      assert.equal(ending.confirmed, true);
      assert(ending.phases.connectMs > 0);
    });
  }

  it('reuses the warm connection: run after run, one login', async () => {
    const loginsBefore = sshd.loginCount();
    for (let i = 0; i < 10; i += 1) {
      const { stdout, ending } = await on.run(on.command(`echo ${i}`));
      assert.equal(stdout, `${i}\n`);
      assert(ending.kind === 'ended');
    }
    assert.equal(sshd.loginCount(), loginsBefore + 1);
    const { handshakes, open, waiting, evictions } = on.transport.metrics();
    assert.deepEqual(
      { handshakes, open, waiting, evictions },
      { handshakes: 1, open: 1, waiting: 0, evictions: 0 },
    );
  });

  it('runs 64 plugins at once on one node, each with its own answer', async () => {
    const ids = Array.from({ length: 64 }, (_, i) => `run ${i}`);
    const answers = await Promise.all(ids.map((id) => on.run(on.command('cat', { input: Buffer.from(id) }))));
    assert.deepEqual(
      answers.map((answer) => answer.stdout),
      ids,
    );
    assert(answers.every(({ ending }) => ending.kind === 'ended' && ending.confirmed));
  });

  it('uses the user of the inventory, and sends a run without any user nowhere', async () => {
    await assert.rejects(on.run(on.command('true', { target: on.target({ user: '' }) })), {
      name: 'CREDENTIAL_UNUSABLE',
      message: /as which user to log in to web01/,
    });
  });

  it('refuses a credential for an address that it is not allowed for before any connection', async () => {
    const logBefore = sshd.log();
    await assert.rejects(on.run(on.command('true', { target: on.target({ credential: 'elsewhere' }) })), {
      name: 'CREDENTIAL_NOT_ALLOWED',
    });
    assert.equal(sshd.log(), logBefore);
  });

  it('throws what kept the plugin from starting: the login, the credential, the host key', async () => {
    for (const [credential, name] of [
      ['wrong', 'AUTHENTICATION_FAILED'],
      ['missing', 'CREDENTIAL_UNUSABLE'],
      ['nope', 'CREDENTIAL_UNUSABLE'],
    ] as const) {
      await assert.rejects(on.run(on.command('true', { target: on.target({ credential }) })), { name });
    }
    await writeFile(on.knownHostsPath, '');
    await assert.rejects(on.run(on.command('true')), { name: 'HOST_KEY_UNKNOWN' });
  });

  it('does not connect for a run that is stopped before, or for one that no shell can carry', async () => {
    const logBefore = sshd.log();
    await assert.rejects(on.run(on.command('true'), AbortSignal.abort(StopReason.CANCEL)), {
      name: 'RUN_CANCELLED',
    });
    await assert.rejects(on.run(on.command('echo \0')), { name: 'INVALID_REQUEST' });
    assert.equal(sshd.log(), logBefore);
  });

  it('stops waiting for a connection when the run is stopped', async () => {
    sshd.signalListener('SIGSTOP');
    try {
      const stop = new AbortController();
      const running = on.run(on.command('true'), stop.signal);
      await eventually(() => on.transport.metrics().connecting === 1, {
        label: 'the connection to be tried',
      });
      stop.abort(StopReason.SHUTDOWN);
      await assert.rejects(running, { name: 'RUN_CANCELLED' });
    } finally {
      sshd.signalListener('SIGCONT');
    }
  });

  it('says LOST when sshd is killed while the plugin runs, and the plugin ends on the node', async () => {
    const own = await startSshd({ hostKeyTypes: ['ed25519'] });
    const onOwn = await transportOn(own);
    const output = collectOutput();
    const running = onOwn.transport.run(
      onOwn.command('echo on; sleep 300'),
      output.sink,
      new AbortController().signal,
    );
    await output.started;
    const plugin = own.descendants();
    own.signalSessions('SIGKILL');
    const ending = await running;
    assert(ending.kind === 'lost');
    assert.equal(ending.started, true);
    assert.match(
      ending.reason,
      /the link was lost \((the node closed the connection|the connection broke \(ECONNRESET\))\)/,
    );
    assert(plugin.length > 2);
    await eventually(() => own.descendants().length === 0, { label: 'the plugin to end with its lease' });
    await onOwn.transport.close();
    await own.stop();
  });

  it('says LOST when a stopped sshd answers no keepalive', async () => {
    const own = await startSshd({ hostKeyTypes: ['ed25519'] });
    const onOwn = await transportOn(own, { keepaliveIntervalMs: 100, keepaliveCountMax: 2 });
    const output = collectOutput();
    const running = onOwn.transport.run(
      onOwn.command('sleep 300'),
      output.sink,
      new AbortController().signal,
    );
    await output.started;
    own.signalSessions('SIGSTOP');
    const ending = await running;
    assert(ending.kind === 'lost');
    assert.match(ending.reason, /did not answer for 0\.2 s/);
    await onOwn.transport.close();
    await own.stop();
  });

  it('keeps the link of a plugin that is silent for longer than the keepalive would wait', async () => {
    const own = await transportOn(sshd, { keepaliveIntervalMs: 50, keepaliveCountMax: 2 });
    const { ending, stdout } = await own.run(own.command('sleep 0.6; echo done'));
    assert.equal(ending.kind, 'ended');
    assert.equal(stdout, 'done\n');
    await own.transport.close();
  });

  it('is unmoved by login files that print, read stdin or set variables', async () => {
    const noisy = await startSshd({
      hostKeyTypes: ['ed25519'],
      loginFiles: {
        '.bashrc': 'echo noise; echo noise >&2; read -r -t 0.1; export BASH_ENV=/dev/null FOO=bar\n',
      },
    });
    const onNoisy = await transportOn(noisy);
    for (const user of Object.values(noisy.users)) {
      const running = onNoisy.run(onNoisy.command('echo "$FOO."', { target: onNoisy.target({ user }) }));
      // A login file that eats the upload keeps the plugin from starting; it never changes what runs.
      const outcome = await running.then(
        ({ stdout }) => stdout,
        (error: Error) => error.name,
      );
      assert(outcome === '.\n' || outcome === 'NODE_SETUP_FAILED', outcome);
    }
    await onNoisy.transport.close();
    await noisy.stop();
  });

  it('after close, refuses runs and leaves no connection', async () => {
    await on.run(on.command('true'));
    await on.transport.close();
    await assert.rejects(on.run(on.command('true')), { name: 'SERVICE_SHUTTING_DOWN' });
    assert.equal(on.transport.metrics().open, 0);
    await eventually(() => sshd.sessionPids().length === 0, { label: 'sshd to see the end' });
  });

  it('leaves no socket and no timer in this process, nor a process on the node, however its runs ended', async () => {
    const handles = (): number =>
      process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Timeout/.test(name)).length;
    const own = await startSshd({ hostKeyTypes: ['ed25519'] });
    const before = handles();
    const onOwn = await transportOn(own);
    const stop = new AbortController();
    const output = collectOutput();
    const cancelled = onOwn.transport.run(onOwn.command('sleep 300'), output.sink, stop.signal);
    await output.started;
    stop.abort(StopReason.CANCEL);
    await Promise.all([
      cancelled,
      ...Array.from({ length: 10 }, () => onOwn.run(onOwn.command('true'))),
      assert.rejects(onOwn.run(onOwn.command('true', { target: onOwn.target({ credential: 'wrong' }) }))),
      assert.rejects(onOwn.run(onOwn.command('true', { target: onOwn.target({ port: 1 }) }))),
    ]);
    await onOwn.transport.close();
    await eventually(() => handles() <= before, { label: 'the handles to be gone' });
    await eventually(() => own.descendants().length === 0, { label: 'every session to end' });
    await own.stop();
  });

  describe('probing a node', () => {
    const probe = (changes: Parameters<TransportOn['target']>[0] = {}, timeoutMs = 10_000) =>
      on.transport.probe(on.target(changes), timeoutMs, new AbortController().signal);
    const ed25519 = () => sshd.hostKeys.find((key) => key.type === 'ed25519') ?? assert.fail();

    it('reports its host key, that it is accepted, and that the login works', async () => {
      const found = await probe();
      assert.equal(found.hostKeyFingerprint, ed25519().fingerprint);
      assert.equal(found.hostKeyType, 'ssh-ed25519');
      assert.deepEqual([found.hostKeyAccepted, found.authenticated, found.error], [true, true, undefined]);
      assert((found.connect?.nanos ?? 0) > 0);
      assert.equal(on.transport.metrics().open, 0);
    });

    it('reports every host key of the node with type, fingerprint and key, and which are accepted', async () => {
      await writeFile(on.knownHostsPath, `${ed25519().knownHostsLine}\n`);
      const found = await probe();
      assert.equal(found.knownHostsName, `[127.0.0.1]:${sshd.port}`);
      const lines = found.hostKeys.map((key) => `${found.knownHostsName} ${key.type} ${key.publicKey}`);
      assert.deepEqual(lines.toSorted(), [...sshd.knownHostsLines].toSorted());
      assert.deepEqual(
        found.hostKeys.map((key) => key.fingerprint).toSorted(),
        [...sshd.hostKeyFingerprints].toSorted(),
      );
      // Another key than the known one is as good as a changed one.
      assert.deepEqual(
        found.hostKeys.filter((key) => key.accepted).map((key) => key.type),
        ['ssh-ed25519'],
      );
      assert.equal(found.authenticated, true);
    });

    for (const [what, changes] of [
      ['is missing', { credential: 'none' }],
      ['has an unusable key', { credential: 'missing' }],
      ['is not allowed for the node', { credential: 'elsewhere' }],
      ['is refused by the node', { credential: 'wrong' }],
      ['names no user', { user: '' }],
    ] as const) {
      it(`reports every host key also where the credential ${what}, without a login`, async () => {
        const loginsBefore = sshd.loginCount();
        const found = await probe(changes);
        assert.equal(found.hostKeys.length, 3);
        assert.deepEqual([found.hostKeyAccepted, found.authenticated], [true, false]);
        assert.match(found.error?.errorData?.name ?? '', /^(CREDENTIAL_|AUTHENTICATION_FAILED)/);
        assert.equal(sshd.loginCount(), loginsBefore);
      });
    }

    it('reports which host keys are revoked', async () => {
      const lines = sshd.knownHostsLines.map((line) => (line.includes('ecdsa') ? `@revoked ${line}` : line));
      await writeFile(on.knownHostsPath, `${lines.join('\n')}\n`);
      const { hostKeys } = await probe();
      for (const { type, accepted, revoked } of hostKeys) {
        assert.deepEqual([accepted, revoked], type.startsWith('ecdsa') ? [false, true] : [true, false], type);
      }
    });

    it('reports every host key where none can be verified', async () => {
      await rm(on.knownHostsPath);
      await mkdir(on.knownHostsPath);
      const found = await probe();
      assert.equal(found.error?.errorData?.name, 'HOST_KEY_UNKNOWN');
      assert.deepEqual(
        found.hostKeys.map((key) => key.accepted),
        [false, false, false],
      );
      await rm(on.knownHostsPath, { recursive: true });
    });

    it('reports a host key that is not accepted', async () => {
      await writeFile(on.knownHostsPath, '');
      const found = await probe();
      assert.equal(found.hostKeyFingerprint, ed25519().fingerprint);
      assert.deepEqual([found.hostKeyAccepted, found.authenticated], [false, false]);
      assert.equal(found.error?.errorData?.name, 'HOST_KEY_UNKNOWN');
      assert.equal(found.error.errorData.data?.node, 'web01');
    });

    it('reports an accepted host key and a refused login', async () => {
      const found = await probe({ credential: 'wrong' });
      assert.deepEqual([found.hostKeyAccepted, found.authenticated], [true, false]);
      assert.equal(found.error?.errorData?.name, 'AUTHENTICATION_FAILED');
    });

    it('reports a node that cannot be reached, and a credential that may not be used, as answers', async () => {
      const unreachable = await probe({ port: 1 });
      assert.equal(unreachable.error?.errorData?.name, 'NODE_UNREACHABLE');
      assert.equal(unreachable.hostKeyFingerprint, '');
      assert.equal(unreachable.hostKeyAccepted, false);
      const forbidden = await probe({ credential: 'elsewhere' });
      assert.equal(forbidden.error?.errorData?.name, 'CREDENTIAL_NOT_ALLOWED');
    });

    it('gives up at its timeout', async () => {
      sshd.signalListener('SIGSTOP');
      const found = await probe({}, 200);
      sshd.signalListener('SIGCONT');
      assert.equal(found.error?.errorData?.name, 'NODE_CONNECT_TIMEOUT');
    });
  });

  it('writes no secret anywhere: neither key nor passphrase is in what it says about failures', async () => {
    const key = (await readFile(sshd.userKeyPath, 'utf8')).split('\n')[2] ?? assert.fail();
    for (const credential of ['wrong', 'missing', 'elsewhere']) {
      const found = await on.transport.probe(on.target({ credential }), 5_000, new AbortController().signal);
      assert.equal(JSON.stringify(found).includes(key), false);
      assert.doesNotMatch(JSON.stringify(found), /PRIVATE KEY/);
    }
  });
});
