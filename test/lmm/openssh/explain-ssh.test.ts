import assert from 'node:assert/strict';
import { parseKnownHosts } from '../../../services/lmm/transports/ssh/known-hosts.js';
import { explainSsh, type ExplainedSsh } from '../../../services/lmm/transports/openssh/explain-ssh.js';
import { createSshLog, type SshLog } from '../../../services/lmm/transports/openssh/ssh-log.js';
import { TARGET } from '../ssh/ssh-target.js';

const KEY = 'SHA256:TQkYkbuwUwIFovM4iLF1zORLJd4Ooa7nU0C5cJZuKwk';
const CONNECTED = ['debug1: Connecting to web01 [192.0.2.1] port 22.', 'debug1: Connection established.'];
const GREETED = [...CONNECTED, 'debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1'];
const KNOWN = [
  ...GREETED,
  `debug1: Server host key: ssh-ed25519 ${KEY}`,
  'debug1: SSH2_MSG_NEWKEYS received',
];

function logOf(lines: readonly string[]): SshLog {
  const log = createSshLog();
  log.push(Buffer.from(`${lines.join('\r\n')}\r\n`));
  return log;
}

function explain(lines: readonly string[], end = "the system's ssh ended with exit code 255"): ExplainedSsh {
  const known = parseKnownHosts([]);
  return explainSsh({
    target: TARGET,
    log: logOf(lines),
    known,
    version: 'OpenSSH_9.2p1',
    end,
    timeoutMs: 1_000,
  });
}

describe('what the ssh of the system says', () => {
  // Lines as OpenSSH 7.6 to 10.0 print them.
  const SAID: [string, readonly string[], string, RegExp][] = [
    [
      'a closed port',
      ['ssh: connect to host web01 port 22: Connection refused'],
      'NODE_UNREACHABLE',
      /ECONNREFUSED/,
    ],
    [
      'no route',
      ['ssh: connect to host web01 port 22: No route to host'],
      'NODE_UNREACHABLE',
      /EHOSTUNREACH/,
    ],
    [
      'no answer',
      ['ssh: connect to host web01 port 22: Connection timed out'],
      'NODE_CONNECT_TIMEOUT',
      /does not answer/,
    ],
    [
      'an unknown name',
      ['ssh: Could not resolve hostname web01: Temporary failure in name resolution'],
      'NODE_NAME_UNRESOLVED',
      /192\.0\.2\.1/,
    ],
    [
      'a banner that never comes',
      [...CONNECTED, 'Connection timed out during banner exchange'],
      'NODE_CONNECT_TIMEOUT',
      /said nothing within 1 s/,
    ],
    [
      'a stall in the key exchange',
      [...GREETED, 'Connection to 192.0.2.1 port 22 timed out'],
      'NODE_CONNECT_TIMEOUT',
      /did not finish it/,
    ],
    [
      'an old server',
      [
        ...GREETED,
        'Unable to negotiate with 192.0.2.1 port 22: no matching cipher found. Their offer: aes128-cbc',
      ],
      'NODE_HANDSHAKE_FAILED',
      /no matching cipher found/,
    ],
    [
      'a refused login',
      [
        ...KNOWN,
        `debug1: Offering public key: RSA ${KEY} /root/.ssh/id_rsa`,
        'debug1: Authentications that can continue: publickey,password,\u001b[2J',
        'deploy@web01: Permission denied (publickey,password).',
      ],
      'AUTHENTICATION_FAILED',
      /login of deploy .*\(RSA SHA256:TQk\w+\); it accepts: publickey, password\.$/,
    ],
    [
      'too many keys',
      [
        ...KNOWN,
        'Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures',
        'Disconnected from 192.0.2.1 port 22',
      ],
      'AUTHENTICATION_FAILED',
      /Too many authentication failures/,
    ],
    [
      'a key that it cannot open',
      [
        ...KNOWN,
        'Load key "/k": incorrect passphrase supplied to decrypt private key',
        'deploy@web01: Permission denied (publickey).',
      ],
      'CREDENTIAL_UNUSABLE',
      /ssh cannot use \/k: incorrect passphrase/,
    ],
    [
      'an agent that will not sign',
      [
        ...KNOWN,
        'sign_and_send_pubkey: signing failed for ED25519 "k" from agent: agent refused operation',
        'deploy@web01: Permission denied (publickey).',
      ],
      'CREDENTIAL_UNUSABLE',
      /agent refused operation/,
    ],
    [
      'a connection closed in the login',
      [...KNOWN, 'Connection closed by 192.0.2.1 port 22'],
      'NODE_UNREACHABLE',
      /during the login/,
    ],
    [
      'a byte that changes in the login',
      [
        ...KNOWN,
        'ssh_dispatch_run_fatal: Connection to 192.0.2.1 port 22: message authentication code incorrect',
      ],
      'NODE_UNREACHABLE',
      /broke during the login: .*authentication code incorrect/,
    ],
    [
      'a connection that ends before a session is open',
      [
        ...KNOWN,
        'Authenticated to web01 ([192.0.2.1]:22).',
        'Connection to 192.0.2.1 closed by remote host.',
      ],
      'NODE_UNREACHABLE',
      /broke before a session was open/,
    ],
    [
      'a login without a socket',
      [...KNOWN, 'Authenticated to web01 ([192.0.2.1]:22).', 'unix_listener: cannot bind to path'],
      'TRANSPORT_NOT_AVAILABLE',
      /cannot bind/,
    ],
    ['nothing before it is killed', [], 'NODE_UNREACHABLE', /killed by SIGKILL/],
    [
      'words of the future before a connection',
      ['ssh: the aether is out of order'],
      'NODE_UNREACHABLE',
      /the aether is out of order/,
    ],
    [
      'words of the future in the handshake',
      [...GREETED, 'quantum entanglement lost'],
      'NODE_HANDSHAKE_FAILED',
      /quantum entanglement lost/,
    ],
    [
      'words of the future in the login',
      [...KNOWN, 'retina scan inconclusive'],
      'AUTHENTICATION_FAILED',
      /retina scan inconclusive/,
    ],
  ];
  for (const [what, lines, name, message] of SAID) {
    it(`is ${name} for ${what}`, () => {
      const end = lines.length > 0 ? undefined : "the system's ssh was killed by SIGKILL";
      const { error, dropped } = explain(lines, end);
      assert.equal(error.name, name, error.message);
      assert.match(error.message, message);
      assert.equal(error.facts.node, 'web01');
      assert.equal(dropped, false);
    });
  }

  it('is worth another try where the node closed the connection before the key exchange', () => {
    for (const line of [
      'ssh_exchange_identification: Connection closed by remote host',
      'kex_exchange_identification: read: Connection reset by peer',
      'Connection closed by 192.0.2.1 port 22',
      'Connection reset by 192.0.2.1 port 22',
    ]) {
      const { error, dropped } = explain([...CONNECTED, line]);
      assert.deepEqual([error.name, dropped], ['NODE_UNREACHABLE', true], line);
    }
  });

  it('names no key and no host key that a node printed in its banner', () => {
    const other = KEY.replace('T', 'X');
    const log = logOf([
      ...KNOWN,
      `debug1: Server host key: ssh-ed25519 ${other}`,
      '@       WARNING: REVOKED HOST KEY DETECTED!               @',
      'debug1: Connection established.',
    ]);
    assert.deepEqual(log.hostKey, { type: 'ssh-ed25519', fingerprint: KEY });
    assert.equal(log.isHostKeyRevoked, false);
  });

  it('is kept short and printable, whatever a node prints', () => {
    const log = createSshLog();
    for (let i = 0; i < 1_000; i += 1) log.push(Buffer.from(`${'x'.repeat(50_000)}\n`));
    log.push(Buffer.alloc(1_000_000, 'y'));
    for (let i = 0; i < 50; i += 1) log.push(Buffer.from(`\nLoad key "${i}": \u001b]0;x\u0007\n`));
    assert(log.words.join('').length <= 1_000);
    assert(log.keyFaults.length <= 10);
    const { error } = explain([...KNOWN, `\u001b[31m${'é'.repeat(5_000)}`, 'Permission denied (publickey).']);
    assert.match(error.message, /^[\x20-\x7e]{1,500}$/);
  });
});
