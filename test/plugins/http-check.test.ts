import assert from 'node:assert/strict';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../support/free-port.js';
import { openServer, type OpenServer } from '../support/open-server.js';
import { findProcesses } from '../support/processes.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { createCertificate } from '../support/x509.js';
import { itNamesMissingTools } from './missing-tools.js';
import { acceptsParams, errorOfAction, makeToolPath, outputOfAction } from './shipped-action.js';

const TOOLS = ['head', 'timeout', 'tr'];

interface Checked {
  readonly ok: boolean;
  readonly state: string;
  readonly reason: string | null;
  readonly status: number | null;
  readonly status_expected: boolean;
  readonly text_found: boolean | null;
  readonly body_bytes: number | null;
  readonly body_truncated: boolean;
  readonly time_ms: number;
  readonly location: string | null;
  readonly client: string;
}

const BIG = Buffer.alloc(3_000_000, 'a');
const answer: RequestListener = (request, response) => {
  switch (request.url) {
    case '/moved':
      response.writeHead(302, { location: 'file:///etc/passwd' }).end('root:');
      return;
    case '/broken':
      response.writeHead(503).end('no');
      return;
    case '/big':
      response.end(BIG);
      return;
    case '/chunks':
      response.write('one ');
      response.end('two');
      return;
    case '/binary':
      response.end(Buffer.from([0, 0x1e, 0xff, 10, 10]));
      return;
    case '/early':
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.end('late');
      return;
    case '/stall':
      response.write('begun');
      return;
    case '/cut':
      response.writeHead(200, { 'content-length': 100 });
      response.write('cut', () => response.destroy());
      return;
    default:
      response.end(`${request.url} ${request.headers.host} ${request.headers['user-agent']} "\u00fc"\n\n`);
  }
};

describe('http-check', () => {
  const servers: OpenServer[] = [];
  let directory: TempDirectory;
  let paths: Record<string, string>;
  let base: string;

  async function listen(server: Server): Promise<number> {
    const open = await openServer(server);
    servers.push(open);
    return open.port;
  }

  before(async () => {
    directory = await makeTempDirectory();
    const make = (name: string, tools: string[]): Promise<string> =>
      makeToolPath(join(directory.path, name), [...TOOLS, ...tools]);
    paths = {
      curl: await make('curl', ['curl']),
      wget: await make('wget', ['wget']),
      bash: await make('bash', ['cat']),
      none: await make('none', []),
    };
    base = `http://127.0.0.1:${await listen(createHttpServer(answer))}`;
  });
  after(async () => {
    for (const server of servers) await server.close();
    await directory.remove();
  });

  for (const client of ['curl', 'wget', 'bash']) {
    describe(`with ${client}`, () => {
      const check = async (params: object): Promise<Checked> => {
        const environment = { PATH: paths[client] ?? '', http_proxy: 'http://127.0.0.1:9', HOME: '/root' };
        const checked = (await outputOfAction('http-check', params, { environment })) as unknown as Checked;
        assert.equal(checked.client, client);
        return checked;
      };

      it('reports status, size and time of an answer', async () => {
        const { time_ms: timeMs, ...rest } = await check({ url: `${base}/chunks`, expected_text: 'one two' });
        assert.deepEqual(rest, {
          ok: true,
          state: 'answered',
          reason: null,
          status: 200,
          status_expected: true,
          text_found: true,
          body_bytes: 7,
          body_truncated: false,
          location: null,
          client,
        });
        assert.ok(Number.isInteger(timeMs));
      });

      it('sends the URL as it is, with the Host header that is asked for', async () => {
        const rest = `&c=[3-4]&d=%20*'$(id);~`;
        // wget writes braces as they should be written; the others leave that to the caller.
        const sent = `/a?b=${client === 'wget' ? '%7B1,2%7D' : '{1,2}'}${rest}`;
        for (const [extra, host] of [
          [{}, base.slice('http://'.length)],
          [{ host_header: 'www.example.org' }, 'www.example.org'],
        ] as const) {
          const expected = `${sent} ${host} rune-http-check "\u00fc"\n\n`;
          const url = `${base}/a?b={1,2}${rest}`;
          assert.equal((await check({ url, expected_text: expected, ...extra })).text_found, true);
        }
      });

      it('follows no redirection, least of all to a file', async () => {
        const checked = await check({ url: `${base}/moved`, expected_text: 'root:x:' });
        assert.deepEqual(
          [checked.ok, checked.status, checked.location, checked.text_found],
          [false, 302, 'file:///etc/passwd', false],
        );
        assert.equal((await check({ url: `${base}/moved`, expected_status: [301, 302] })).ok, true);
      });

      it('judges the status', async () => {
        const checked = await check({ url: `${base}/broken` });
        assert.deepEqual([checked.ok, checked.state, checked.status], [false, 'answered', 503]);
        assert.equal((await check({ url: `${base}/broken`, expected_status: [503] })).ok, true);
        assert.equal((await check({ url: base, expected_status: [404] })).ok, false);
      });

      it('stops reading after a MiB', async () => {
        const checked = await check({ url: `${base}/big`, expected_text: `${'a'.repeat(255)}b` });
        assert.deepEqual(
          [checked.state, checked.body_bytes, checked.body_truncated, checked.text_found],
          ['answered', 1_048_576, true, false],
        );
      });

      it('counts every byte of what is no text', async () => {
        assert.equal((await check({ url: `${base}/binary` })).body_bytes, 5);
      });

      it('gives up on an answer that stalls and leaves nothing behind', async () => {
        const url = `${base}/stall`;
        const checked = await check({ url, timeout_ms: 400 });
        assert.deepEqual([checked.ok, checked.state, checked.status], [false, 'timeout', 200]);
        assert.deepEqual(findProcesses(url), []);
      });

      it('gives up on a server that says nothing', async () => {
        const port = await listen(createTcpServer(() => undefined));
        const checked = await check({ url: `http://127.0.0.1:${port}/`, timeout_ms: 300 });
        assert.deepEqual([checked.ok, checked.state, checked.status], [false, 'timeout', null]);
      });

      it('reports a closed port, an unknown host and a server that speaks no HTTP as results', async () => {
        const refused = await check({ url: `http://127.0.0.1:${await freePort()}/` });
        assert.deepEqual([refused.ok, refused.state, refused.status], [false, 'refused', null]);
        assert.match(refused.reason ?? '', /connect.*\S$/i);
        assert.equal((await check({ url: 'http://no-such-host.invalid/' })).state, 'unknown_host');
        const port = await listen(createTcpServer((socket) => socket.end()));
        assert.equal((await check({ url: `http://127.0.0.1:${port}/` })).state, 'no_http');
      });

      if (client === 'bash') {
        it('ends with code 2 for https', async () => {
          const environment = { PATH: paths['bash'] ?? '' };
          const error = await errorOfAction('http-check', { url: 'https://localhost/' }, { environment });
          assert.deepEqual([error.code, error.details], [2, { missing: 'curl or wget' }]);
        });
        return;
      }

      it('verifies certificates unless told otherwise', async () => {
        const { certificate: cert, key } = createCertificate([['CN', 'localhost']]);
        const port = await listen(
          createHttpsServer({ cert, key }, answer).on('tlsClientError', () => undefined),
        );
        const url = `https://localhost:${port}/`;
        const checked = await check({ url });
        assert.deepEqual([checked.ok, checked.state, checked.status], [false, 'untrusted', null]);
        assert.equal((await check({ url, verify_tls: false })).ok, true);
        assert.equal((await check({ url: base.replace('http:', 'https:') })).state, 'tls_failed');
      });

      it('passes over interim answers', async () => {
        const checked = await check({ url: `${base}/early`, expected_text: 'late' });
        assert.deepEqual([checked.ok, checked.status, checked.body_bytes], [true, 200, 4]);
      });

      it('tells an answer that broke off from a whole one', async () => {
        const checked = await check({ url: `${base}/cut` });
        assert.deepEqual([checked.ok, checked.state, checked.status], [false, 'incomplete', 200]);
      });
    });
  }

  itNamesMissingTools(TOOLS, (PATH) => errorOfAction('http-check', { url: base }, { environment: { PATH } }));

  it('refuses parameters that are none, by its schema and by itself', async () => {
    const urls = [
      'file:///etc/passwd',
      'ftp://host/',
      'gopher://host/',
      'HTTP://host/',
      'http://',
      'http://-x/',
      'http://user:secret@host/',
      'http://host\\@other/',
      'http://host/a b',
      'http://host/a\r\nX: y',
      'http://host/\u00fc',
      'http://host/#part',
      'http://$(id)/',
      '-o/etc/passwd',
    ];
    const wrong = [
      ...urls.map((url) => ({ url })),
      {},
      { url: base, host_header: 'a\r\nX: y' },
      { url: base, expected_status: ['a[$(id)]'] },
      { url: base, timeout_ms: 1 },
      { url: base, verify_tls: 'maybe' },
    ];
    const environment = { PATH: paths['none'] ?? '' };
    for (const params of wrong) {
      assert.equal(acceptsParams('http-check', params), false, JSON.stringify(params));
      const error = await errorOfAction('http-check', params, { environment });
      assert.equal(error.code, 1, JSON.stringify(params));
    }
    for (const url of [
      'http://host',
      'https://[::1]:8443/a?b=c%20d',
      'http://host?x',
      'http://h/!"$&\'()*+,;=~',
    ]) {
      assert.equal(acceptsParams('http-check', { url }), true, url);
    }
  });
});
