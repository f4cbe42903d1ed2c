import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile, readFile, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { parseHostKey, type HostKey } from '../../../services/lmm/transports/ssh/host-key-blob.js';
import { refuseHostKey } from '../../../services/lmm/transports/ssh/host-key.js';
import { readKnownHosts } from '../../../services/lmm/transports/ssh/known-hosts-files.js';
import { parseKnownHosts, type KeyVerdict } from '../../../services/lmm/transports/ssh/known-hosts.js';

const run = promisify(execFile);

interface TestKey extends HostKey {
  /** "type base64". */
  readonly line: string;
}

function makeKey(type: 'ed25519' | 'ecdsa'): TestKey {
  const pair =
    type === 'ed25519'
      ? ssh2.utils.generateKeyPairSync('ed25519')
      : ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });
  const [name, base64] = pair.public.split(' ');
  const key = parseHostKey(Buffer.from(base64 ?? '', 'base64'));
  assert(key);
  return { ...key, line: `${name} ${base64}` };
}

describe('known_hosts', () => {
  const a = makeKey('ed25519');
  const b = makeKey('ed25519');
  const other = makeKey('ecdsa');
  const parse = (...lines: string[]) => parseKnownHosts([{ path: '/kh', text: lines.join('\n') }]);
  const kindOf = (text: string, host: string, port = 22, key: HostKey = a): KeyVerdict['kind'] =>
    parse(text).verdict(host, port, key).kind;

  const MATCHES: [string, string, number, KeyVerdict['kind']][] = [
    ['web01', 'web01', 22, 'match'],
    ['web01', 'WEB01', 22, 'match'],
    ['WEB01', 'web01', 22, 'match'],
    ['web01', 'web011', 22, 'unknown'],
    ['web01', 'web01', 2222, 'unknown'],
    ['[web01]:2222', 'web01', 2222, 'match'],
    ['[web01]:2222', 'web01', 22, 'unknown'],
    ['[web01]:2222', 'web01', 2223, 'unknown'],
    ['web01,10.0.0.1', '10.0.0.1', 22, 'match'],
    ['web01,[10.0.0.1]:2222', '10.0.0.1', 2222, 'match'],
    ['2001:db8::1', '2001:db8::1', 22, 'match'],
    ['[2001:db8::1]:2222', '2001:db8::1', 2222, 'match'],
    ['*', 'anything', 22, 'match'],
    ['*', 'anything', 2222, 'match'],
    ['*.example.org', 'a.example.org', 22, 'match'],
    ['*.example.org', 'example.org', 22, 'unknown'],
    ['web??', 'web01', 22, 'match'],
    ['web??', 'web1', 22, 'unknown'],
    ['*.example.org,!db.example.org', 'web.example.org', 22, 'match'],
    ['*.example.org,!db.example.org', 'db.example.org', 22, 'unknown'],
    ['!db.example.org', 'web.example.org', 22, 'unknown'],
    ['[*.example.org]:2222', 'a.example.org', 2222, 'match'],
    ['a*b*c', 'axxbxxc', 22, 'match'],
    ['a*b*c', 'axxbxx', 22, 'unknown'],
  ];
  for (const [hosts, host, port, kind] of MATCHES) {
    it(`finds ${host} port ${port} in "${hosts}": ${kind}`, () => {
      assert.equal(kindOf(`${hosts} ${a.line}`, host, port), kind);
    });
  }

  it('matches a pattern of many stars in time that grows with its length only', () => {
    assert.equal(kindOf(`${'*a'.repeat(200)}b ${a.line}`, 'a'.repeat(2_000)), 'unknown');
  });

  it('reads names that ssh-keygen hashed, with and without a port', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rune-known-hosts-'));
    try {
      const path = join(directory, 'known_hosts');
      await writeFile(path, `web01,10.0.0.1 ${a.line}\n[web02]:2222 ${b.line}\n`);
      await run('ssh-keygen', ['-q', '-H', '-f', path]);
      const text = await readFile(path, 'utf8');
      assert.equal(text.includes('web0'), false);
      assert.equal(kindOf(text, 'web01'), 'match');
      assert.equal(kindOf(text, 'WEB01'), 'match');
      assert.equal(kindOf(text, '10.0.0.1'), 'match');
      assert.equal(kindOf(text, 'web02', 2222, b), 'match');
      assert.equal(kindOf(text, 'web02', 22, b), 'unknown');
      assert.equal(kindOf(text, 'web03'), 'unknown');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('says which line holds another key of the host, preferring one of the same type', () => {
    const known = parse('# comment', `web01 ${other.line}`, `web01 ${b.line} a comment`);
    const verdict = known.verdict('web01', 22, a);
    assert.equal(verdict.kind, 'changed');
    assert(verdict.kind === 'changed');
    assert.deepEqual([verdict.path, verdict.line, verdict.known.fingerprint], ['/kh', 3, b.fingerprint]);
    assert.equal(known.verdict('web01', 22, other).kind, 'match');
  });

  it('calls a key changed when only keys of other types are known, for an attacker would show just that', () => {
    assert.equal(kindOf(`web01 ${other.line}`, 'web01'), 'changed');
  });

  it('accepts any of several keys of a host', () => {
    const known = parse(`web01 ${b.line}`, `web* ${a.line}`);
    assert.equal(known.verdict('web01', 22, a).kind, 'match');
    assert.equal(known.verdict('web01', 22, b).kind, 'match');
  });

  it('lets a revocation win over every other line, in whichever file', () => {
    const known = parseKnownHosts([
      { path: '/one', text: `web01 ${a.line}` },
      { path: '/two', text: `\n@revoked * ${a.line}` },
    ]);
    assert.deepEqual(known.verdict('web01', 22, a), { kind: 'revoked', path: '/two', line: 2 });
  });

  it('does not take a certificate authority for a host key, and says where it is', () => {
    const known = parse(`@cert-authority *.example.org ${a.line}`);
    const place = { path: '/kh', line: 1 };
    assert.deepEqual(known.verdict('web.example.org', 22, a), {
      kind: 'unknown',
      certificateAuthority: place,
    });
    assert.deepEqual(known.verdict('web.example.com', 22, a), {
      kind: 'unknown',
      certificateAuthority: undefined,
    });
    assert.deepEqual(known.keysOf('web.example.org', 22), []);
  });

  it('counts what is revoked, and what is an authority, for every port of a host, and a key for one port', () => {
    const known = parse(`@revoked web01 ${a.line}`, `@cert-authority web* ${b.line}`, `web01 ${other.line}`);
    assert.equal(known.verdict('web01', 2222, a).kind, 'revoked');
    assert.deepEqual(known.verdict('web01', 2222, other), {
      kind: 'unknown',
      certificateAuthority: { path: '/kh', line: 2 },
    });
    assert.deepEqual(
      known.entriesOf('web01', 2222).map(({ marker }) => marker),
      ['@revoked', '@cert-authority'],
    );
    assert.equal(known.entriesOf('web01', 22).length, 3);
  });

  it('lists the keys known for a host, without revoked ones', () => {
    const known = parse(`web01 ${other.line}`, `@revoked web01 ${b.line}`, `web* ${a.line}`);
    assert.deepEqual(
      known.keysOf('web01', 22).map((key) => key.type),
      [other.type, a.type],
    );
  });

  it('skips malformed lines, names each with its reason, and reads the others', () => {
    const [type, base64] = a.line.split(' ');
    const known = parse(
      'web01',
      `web01 ${type}`,
      `web01 ${type} AAAA`,
      `web01 ssh-rsa ${base64}`,
      `@trusted web01 ${a.line}`,
      `|1|short|short ${a.line}`,
      `|2|x|y ${a.line}`,
      `web02\t${type}  ${base64}\r`,
    );
    assert.deepEqual(
      known.faults.map((fault) => fault.line),
      [1, 2, 3, 4, 5, 6, 7],
    );
    assert(known.faults.every((fault) => fault.path === '/kh' && fault.reason.length > 10));
    assert.equal(known.verdict('web02', 22, a).kind, 'match');
  });

  it('is read again when a file changes or appears, and the same object is kept when nothing did', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rune-known-hosts-'));
    const faults: string[] = [];
    try {
      const paths = [join(directory, 'one'), join(directory, 'two')];
      await writeFile(paths[0] ?? '', `web01 ${a.line}\nbroken\n`);
      const source = readKnownHosts({
        paths: async () => paths,
        recheckMs: 0,
        onFault: (message) => faults.push(message),
      });
      const first = await source.current();
      assert.equal(first.verdict('web01', 22, a).kind, 'match');
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? '', /one:2 was skipped/);
      assert.equal(await source.current(), first);

      await writeFile(paths[1] ?? '', `@revoked web01 ${a.line}\n`);
      const second = await source.current();
      assert.equal(second.verdict('web01', 22, a).kind, 'revoked');

      await rm(paths[1] ?? '');
      await utimes(paths[0] ?? '', new Date(), new Date(Date.now() + 5_000));
      assert.equal((await source.current()).verdict('web01', 22, a).kind, 'match');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('rejects when a file cannot be read, and recovers with the file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'rune-known-hosts-'));
    try {
      const source = readKnownHosts({
        paths: async () => [directory],
        recheckMs: 3_600_000,
        onFault: () => undefined,
      });
      await assert.rejects(source.current());
      await rm(directory, { recursive: true });
      await writeFile(directory, `web01 ${a.line}\n`);
      assert.equal((await source.current()).verdict('web01', 22, a).kind, 'match');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('the decision about a host key', () => {
  const a = makeKey('ed25519');
  const b = makeKey('ed25519');
  const decide = (text: string, pins: string[], key: HostKey = a) => {
    const known = parseKnownHosts([{ path: '/etc/kh', text }]);
    return refuseHostKey({ node: 'web', address: '10.0.0.1', port: 2222, key, pins }, known);
  };

  it('trusts a key that known_hosts holds', () => {
    assert.equal(decide(`[10.0.0.1]:2222 ${a.line}`, []), undefined);
  });

  it('trusts a pinned key, whatever known_hosts holds', () => {
    assert.equal(decide(`[10.0.0.1]:2222 ${b.line}`, [b.fingerprint, a.fingerprint]), undefined);
    assert.equal(decide('', [`${a.fingerprint}=`]), undefined);
  });

  it('refuses a key that is not pinned, even if known_hosts holds it', () => {
    const error = decide(`[10.0.0.1]:2222 ${a.line}`, [b.fingerprint]);
    assert.equal(error?.name, 'HOST_KEY_CHANGED');
    for (const part of ['web (10.0.0.1:2222)', a.fingerprint, b.fingerprint, 'ssh-ed25519', 'inventory']) {
      assert(error.message.includes(part), `${part} in: ${error.message}`);
    }
  });

  it('refuses a revoked key even if it is pinned, naming file and line', () => {
    const error = decide(`\n@revoked * ${a.line}`, [a.fingerprint]);
    assert.equal(error?.name, 'HOST_KEY_REVOKED');
    assert.match(error.message, /\/etc\/kh:2/);
    assert(error.message.includes(a.fingerprint));
  });

  it('names both fingerprints, file and line of a changed key', () => {
    const error = decide(`[10.0.0.1]:2222 ${b.line}`, []);
    assert.equal(error?.name, 'HOST_KEY_CHANGED');
    for (const part of ['web (10.0.0.1:2222)', a.fingerprint, b.fingerprint, '/etc/kh:1']) {
      assert(error.message.includes(part), `${part} in: ${error.message}`);
    }
  });

  it('says which name of an unknown host it looked for, and where', () => {
    const error = decide(`@cert-authority * ${b.line}`, []);
    assert.equal(error?.name, 'HOST_KEY_UNKNOWN');
    for (const part of [
      'web (10.0.0.1:2222)',
      a.fingerprint,
      '[10.0.0.1]:2222',
      '/etc/kh',
      'host certificates',
    ]) {
      assert(error.message.includes(part), `${part} in: ${error.message}`);
    }
  });
});
