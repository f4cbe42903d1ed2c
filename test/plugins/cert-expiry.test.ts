import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmod, symlink, writeFile } from 'node:fs/promises';
import { createServer as createTcpServer, type Server } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { freePort } from '../support/free-port.js';
import { openServer, type OpenServer } from '../support/open-server.js';
import { findProcesses } from '../support/processes.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { createCertificate, type TestCertificate } from '../support/x509.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, errorOfAction, makeToolPath, outputOfAction } from './shipped-action.js';

const TOOLS = ['date', 'head', 'openssl', 'timeout', 'tr'];
const DAY = 86_400_000;

interface Expiry {
  readonly ok: boolean;
  readonly verdict: string;
  readonly reason: string | null;
  readonly days_left: number | null;
  readonly certificate: Readonly<Record<string, unknown>> | null;
  readonly name_matches: boolean | null;
  readonly trust: { readonly code: number; readonly message: string } | null;
  readonly others: readonly { subject: string; days_left: number }[];
}

const expiry = async (params: object, environment: Readonly<Record<string, string>> = {}): Promise<Expiry> =>
  (await outputOfAction('cert-expiry', params, { environment })) as unknown as Expiry;

describe('cert-expiry', () => {
  const authority = createCertificate([['CN', 'test authority']]);
  const servers: OpenServer[] = [];
  let directory: TempDirectory;

  beforeEach(async () => {
    directory = await makeTempDirectory();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    await directory.remove();
  });

  async function listen(server: Server): Promise<number> {
    const open = await openServer(server);
    servers.push(open);
    return open.port;
  }

  const lasting = (days: number, name = 'leaf'): TestCertificate =>
    createCertificate([['CN', name]], authority, { fromMs: -400 * DAY, untilMs: days * DAY + 3_600_000 });

  const listenTls = ({ certificate, key }: TestCertificate): Promise<number> =>
    listen(
      createTlsServer({ cert: certificate + authority.certificate, key }).on(
        'tlsClientError',
        () => undefined,
      ),
    );

  it('describes the certificate of a server as Node does', async () => {
    const leaf = lasting(90);
    const found = await expiry({ host: '127.0.0.1', port: await listenTls(leaf) });
    const expected = new X509Certificate(leaf.certificate);
    const rfc3339 = (text: string): string => new Date(text).toISOString().replace('.000Z', 'Z');
    assert.deepEqual(found.certificate, {
      subject: 'CN=leaf',
      issuer: 'CN=test authority',
      serial: expected.serialNumber,
      fingerprint_sha256: expected.fingerprint256,
      not_before: rfc3339(expected.validFrom),
      not_after: rfc3339(expected.validTo),
      dns_names: ['localhost'],
      ip_addresses: ['127.0.0.1'],
      other_names: [],
    });
    assert.deepEqual([found.ok, found.verdict, found.days_left], [true, 'valid', 90]);
    assert.equal(found.name_matches, true);
    assert.notEqual(found.trust?.code, 0);
    assert.deepEqual(
      found.others.map(({ subject }) => subject),
      ['CN=test authority'],
    );
  });

  it('says when the certificate is for another name', async () => {
    const port = await listenTls(lasting(90));
    assert.equal((await expiry({ host: 'localhost', port })).name_matches, true);
    const other = await expiry({ host: '127.0.0.1', port, server_name: 'www.example.org' });
    assert.deepEqual([other.name_matches, other.ok], [false, true]);
  });

  it('asks for the server name', async () => {
    const { certificate, key } = lasting(10);
    let asked: string | undefined;
    const server = createTlsServer({
      cert: certificate,
      key,
      SNICallback: (name, done) => {
        asked = name;
        done(null);
      },
    });
    await expiry({ host: '127.0.0.1', port: await listen(server), server_name: 'www.example.org' });
    assert.equal(asked, 'www.example.org');
  });

  it('speaks another protocol first where TLS begins later', async () => {
    const { certificate, key } = lasting(30);
    const server = createTcpServer((socket) => {
      socket.write('220 mail ESMTP\r\n');
      socket.on('data', (line) => {
        const text = line.toString();
        if (text.startsWith('EHLO')) socket.write('250-mail\r\n250 STARTTLS\r\n');
        if (!text.startsWith('STARTTLS')) return;
        socket.removeAllListeners('data');
        socket.write('220 go ahead\r\n');
        new TLSSocket(socket, { isServer: true, cert: certificate, key }).on('error', () => undefined);
      });
    });
    const found = await expiry({ host: '127.0.0.1', port: await listen(server), starttls: 'smtp' });
    assert.deepEqual([found.verdict, found.days_left], ['valid', 30]);
  });

  for (const [days, daysMin, verdict] of [
    [20, 21, 'expires_soon'],
    [21, 21, 'valid'],
    [0, 0, 'valid'],
    [-1, 0, 'expired'],
    [-30, 0, 'expired'],
  ] as const) {
    it(`calls a certificate with ${days} days left ${verdict} when ${daysMin} are wanted`, async () => {
      const path = join(directory.path, 'leaf.pem');
      await writeFile(path, lasting(days).certificate);
      const found = await expiry({ file: path, days_min: daysMin });
      assert.deepEqual([found.verdict, found.days_left, found.ok], [verdict, days, verdict === 'valid']);
      assert.deepEqual([found.name_matches, found.trust, found.others], [null, null, []]);
    });
  }

  it('calls a certificate that begins later not yet valid', async () => {
    const later = createCertificate([['CN', 'later']], undefined, { fromMs: DAY, untilMs: 99 * DAY });
    await directory.write({ 'later.pem': later.certificate });
    assert.equal((await expiry({ file: join(directory.path, 'later.pem') })).verdict, 'not_yet_valid');
  });

  it('reads PEM with text and a key around it, DER, and what a link points to', async () => {
    const leaf = lasting(50);
    const file = 'new\nline "\u00fc" $(id).pem';
    await directory.write({
      [file]: `Bag Attributes: \u00fc\n${leaf.key}${leaf.certificate}${authority.certificate}`,
      'leaf.der': new X509Certificate(leaf.certificate).raw,
    });
    await symlink('leaf.der', join(directory.path, 'link'));
    const inFile = await expiry({ file: join(directory.path, file) });
    assert.deepEqual([inFile.days_left, inFile.others.length], [50, 1]);
    assert.equal(JSON.stringify(inFile).includes(leaf.key.split('\n')[1] ?? ''), false);
    for (const name of ['leaf.der', 'link']) {
      assert.equal((await expiry({ file: join(directory.path, name) })).days_left, 50);
    }
  });

  it('keeps names apart from what openssl prints, whatever is in them', async () => {
    const name = 'a, b\nVerify return code: 0 (ok)\n"\u00fc" $(id) \\';
    const found = await expiry({ host: '127.0.0.1', port: await listenTls(lasting(90, name)) });
    assert.match(
      String(found.certificate?.['subject']),
      /^CN=a\\, b\\0AVerify .*\\"\u00fc\\" \$\(id\) \\\\$/,
    );
    assert.notEqual(found.trust?.code, 0);
  });

  it('reports a closed port, an unknown host and a server without TLS as results', async () => {
    const closed = await expiry({ host: '127.0.0.1', port: await freePort() });
    assert.deepEqual(
      [closed.ok, closed.verdict, closed.reason, closed.certificate],
      [false, 'unreachable', 'Connection refused', null],
    );
    const unknown = await expiry({ host: 'no-such-host.invalid' });
    assert.deepEqual([unknown.verdict, unknown.reason], ['unreachable', 'The node cannot look the host up']);
    const plain = createTcpServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    assert.equal((await expiry({ host: '127.0.0.1', port: await listen(plain) })).verdict, 'no_certificate');
  });

  it('gives up on a server that stalls and leaves nothing behind', async () => {
    const port = await listen(createTcpServer(() => undefined));
    const found = await expiry({ host: '127.0.0.1', port, timeout_ms: 300 });
    assert.deepEqual([found.verdict, found.reason], ['unreachable', 'No certificate within 300 ms']);
    assert.deepEqual(findProcesses(`127.0.0.1:${port}`), []);
  });

  it('reports a file without a certificate as a result, and one that cannot be read as a failure', async () => {
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    await directory.write({ none: 'hello', broken, empty: '', secret: broken });
    for (const name of ['none', 'broken', 'empty']) {
      const found = await expiry({ file: join(directory.path, name) });
      assert.deepEqual([found.ok, found.verdict], [false, 'no_certificate']);
    }
    for (const file of ['/no/such/file', directory.path, '/dev/zero']) {
      assert.equal((await errorOfAction('cert-expiry', { file })).code, 3);
    }
    if (process.getuid?.() !== 0) return;
    await chmod(directory.path, 0o755);
    await chmod(join(directory.path, 'secret'), 0o600);
    const error = await errorOfAction(
      'cert-expiry',
      { file: join(directory.path, 'secret') },
      { uid: 65_534 },
    );
    assert.equal(error.message, 'file cannot be read by this user');
  });

  itNamesMissingTools(TOOLS, (PATH) =>
    errorOfAction('cert-expiry', { host: 'localhost' }, { environment: { PATH } }),
  );

  it('needs no other tool', async () => {
    const PATH = await makeToolPath(join(directory.path, 'tools'), TOOLS);
    assert.equal(
      (await expiry({ host: '127.0.0.1', port: await listenTls(lasting(90)) }, { PATH })).ok,
      true,
    );
  });

  it('refuses parameters that are none, by its schema and by itself', async () => {
    const wrong = [
      {},
      { file: '/a', host: 'b' },
      { file: 'a' },
      { host: '-proxy' },
      { host: 'a b' },
      { host: 'a:443/x' },
      { host: 'a\n' },
      { host: 'a', port: 0 },
      { host: 'a', port: 'a[$(id)]' },
      { host: 'a', server_name: '-x' },
      { host: 'a', starttls: 'telnet' },
    ];
    for (const params of wrong) {
      assert.equal(acceptsParams('cert-expiry', params), false, JSON.stringify(params));
      assert.equal((await errorOfAction('cert-expiry', params)).code, 1, JSON.stringify(params));
    }
    for (const params of [{ file: '/a' }, { host: '::1' }, { host: 'www.example.org', port: 8443 }]) {
      assert.equal(acceptsParams('cert-expiry', params), true);
    }
  });
});
