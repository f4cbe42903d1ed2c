import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  followInventory,
  type FollowedInventory,
  type FollowInventoryOptions,
} from '../../../services/lom/inventory-sources/follow-inventory.js';
import { readInventorySources } from '../../../services/lom/inventory-sources/source-config.js';
import type { InventorySourceConfig } from '../../../services/lom/inventory-sources/source-config.js';
import { createSchemaCompiler } from '../../../services/shared/schema/schema.js';
import { RuneError } from '../../../services/shared/errors.js';
import { eventually } from '../../support/eventually.js';
import { findProcesses } from '../../support/processes.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';
import { createCertificate } from '../../support/x509.js';

const schemas = createSchemaCompiler();
const names = ({ inventory }: FollowedInventory): string[] => inventory.nodes.map(({ name }) => name);

describe('inventory sources', () => {
  let directory: TempDirectory;
  let file: string;
  let copies: string;
  let logged: ReturnType<typeof recordingLogger>;
  const open: FollowedInventory[] = [];

  beforeEach(async () => {
    directory = await makeTempDirectory();
    file = join(directory.path, 'inventory.yaml');
    copies = join(directory.path, 'copies');
    logged = recordingLogger();
    await directory.write({ 'inventory.yaml': 'nodes: { web01: {} }\n' });
  });
  afterEach(async () => {
    for (const one of open.splice(0)) one.close();
    await directory.remove();
  });

  async function follow(options: Partial<FollowInventoryOptions> = {}): Promise<FollowedInventory> {
    const followed = await followInventory({
      files: [file],
      sources: [],
      filesRefreshMs: 0,
      copies: undefined,
      env: { PATH: process.env['PATH'] },
      schemas,
      logger: logged.logger,
      ...options,
    });
    open.push(followed);
    followed.follow(() => undefined);
    return followed;
  }

  async function program(
    script: string,
    more: Partial<InventorySourceConfig> = {},
  ): Promise<InventorySourceConfig> {
    const path = join(directory.path, 'list-nodes');
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    const from = { kind: 'program', command: [path], variables: [] } as const;
    return { name: 'cloud', refreshMs: 60_000, timeoutMs: 10_000, from, ...more };
  }

  const messages = (): unknown[] => logged.lines.map(({ message }) => message);

  describe('a file', () => {
    it('that changes is in use without a restart, for whoever holds the inventory', async () => {
      const followed = await follow({ filesRefreshMs: 20 });
      const { inventory } = followed;
      await writeFile(file, 'nodes: { web01: {}, web02: {} }\n');
      await eventually(() => inventory.find('web02') !== undefined, { label: 'the new node' });
      assert.equal(inventory.sourceOf('web02'), file);
      assert.deepEqual(messages(), ['the inventory was loaded again']);
    });

    it('that is replaced by another one of the same size and age is seen, as with a ConfigMap', async () => {
      const followed = await follow({ filesRefreshMs: 20 });
      const other = join(directory.path, 'other');
      await writeFile(other, 'nodes: { web02: {} }\n');
      const long = new Date(0);
      await Promise.all([utimes(other, long, long), utimes(file, long, long)]);
      await rename(other, file);
      await eventually(() => names(followed)[0] === 'web02', { label: 'the other file' });
    });

    it('with a fault changes nothing, and the log and the source say why; once it is right it counts', async () => {
      const followed = await follow({ filesRefreshMs: 20 });
      await writeFile(file, 'nodes: { web02: { adress: x } }\n');
      const [{ problem } = { problem: '' }] = await eventually(
        () => followed.statuses()[0]?.problem !== '' && followed.statuses(),
        { label: 'the refusal' },
      );
      assert.match(problem, /inventory\.yaml:1: nodes\.web02\.adress is not known; did you mean "address"/);
      assert.deepEqual(names(followed), ['web01']);
      await writeFile(file, 'nodes: { web03: {} }\n');
      await eventually(() => names(followed)[0] === 'web03', { label: 'the right file' });
      assert.equal(followed.statuses()[0]?.problem, '');
      assert.equal(logged.lines.filter(({ level }) => level === 'error').length, 1);
    });

    it('that went back to what is in use takes its refusal back', async () => {
      const followed = await follow();
      await writeFile(file, 'nodes: 7\n');
      await followed.reload();
      assert.notEqual(followed.statuses()[0]?.problem, '');
      await writeFile(file, 'nodes: { web01: {} }\n');
      await followed.reload();
      assert.equal(followed.statuses()[0]?.problem, '');
      assert.deepEqual(names(followed), ['web01']);
    });

    it('that has gone leaves its last good copy in use', async () => {
      const followed = await follow();
      await rm(file);
      await followed.reload();
      assert.deepEqual(names(followed), ['web01']);
      assert.equal(followed.statuses()[0]?.problem, 'the file does not exist');
    });

    it('is read again at once when that is asked for', async () => {
      const followed = await follow();
      await writeFile(file, 'nodes: { web02: {} }\n');
      await followed.reload();
      assert.deepEqual(names(followed), ['web02']);
    });

    it('what the actions have against it keeps the old one too', async () => {
      const followed = await follow();
      followed.follow((inventory, faults) => {
        if (inventory.find('web02') !== undefined) faults.addFile(file, 'UNKNOWN', 'names no action');
      });
      await writeFile(file, 'nodes: { web02: {} }\n');
      await followed.reload();
      assert.deepEqual(names(followed), ['web01']);
    });
  });

  describe('a program', () => {
    it('gives nodes as JSON; one that another source has too is a fault that names both', async () => {
      const sources = [
        await program(`echo '{"nodes": {"i-1": {"address": "10.0.0.1", "groups": ["cloud"]}}}'`),
      ];
      await writeFile(file, 'nodes: { web01: {} }\ngroups: { cloud: { defaults: { user: ops } } }\n');
      const followed = await follow({ sources });
      assert.equal(followed.inventory.get('i-1').user, 'ops');
      assert.equal(followed.inventory.sourceOf('i-1'), 'cloud');
      await program(`echo '{"nodes": {"web01": {}}}'`);
      await followed.reload();
      assert.match(followed.statuses()[1]?.problem ?? '', /cloud:1: nodes\.web01/);
      assert.ok(followed.inventory.find('i-1'));
    });

    it('that fails leaves what it said last in use, and its age grows', async () => {
      const followed = await follow({ sources: [await program(`echo '{"nodes": {"i-1": {}}}'`)] });
      const before = followed.statuses()[1]?.readAtMs;
      await program('echo "no credentials" >&2; exit 3');
      await followed.reload();
      await followed.reload();
      const [, status] = followed.statuses();
      assert.deepEqual(status, {
        name: 'cloud',
        kind: 'program',
        readAtMs: before,
        problem: 'the program ended with 3: no credentials',
        notes: [],
      });
      assert.ok(followed.inventory.find('i-1'));
      const told = 'an inventory source cannot be read: what it said last is used';
      assert.deepEqual(messages(), [told], 'it is told once');
    });

    it('that says nothing at all, as before a broken pipe, leaves what it said last in use; no nodes are said', async () => {
      const answer = join(directory.path, 'answer');
      await writeFile(answer, 'nodes: { cloud01: {} }\n');
      const followed = await follow({ sources: [await program(`cat ${answer}`)], copies });
      const problem = (): string | undefined => followed.statuses()[1]?.problem;
      for (const nothing of ['', ' \n', '# none\n', 'null\n']) {
        await writeFile(answer, nothing);
        await followed.reload();
        assert.equal(problem(), 'the program gave an empty answer; nodes: {} says that there are no nodes');
        assert.deepEqual(names(followed).toSorted(), ['cloud01', 'web01']);
      }
      assert.match(await readFile(join(copies, 'cloud.inventory'), 'utf8'), /cloud01/);
      await writeFile(answer, 'nodes: {}\n');
      await followed.reload();
      assert.equal(problem(), '');
      assert.deepEqual(names(followed), ['web01']);
    });

    it('that does not end is killed with all that it started', async () => {
      const mark = `follow-inventory-${process.pid}-${Date.now()}`;
      const sources = [
        await program(`sh -c 'sleep 300; : ${mark}' & sh -c 'sleep 300; : ${mark}'`, { timeoutMs: 300 }),
      ];
      await assert.rejects(follow({ sources }), (error: unknown) => {
        assert.ok(error instanceof RuneError);
        assert.match(error.message, /cloud: the program did not end within 0\.3 s/);
        return true;
      });
      await eventually(() => findProcesses(mark).length === 0, { label: 'the end of both' });
    });

    it('that prints too much, or nothing that can be started, is refused', async () => {
      const flood = await program('exec cat /dev/zero');
      await assert.rejects(follow({ sources: [flood] }), /printed more than 33554432 bytes/);
      const missing = { ...flood, from: { kind: 'program', command: ['/nowhere'], variables: [] } } as const;
      await assert.rejects(follow({ sources: [missing] }), /cannot be started \(ENOENT\)/);
    });

    it('is given no variable of the service but those that are named', async () => {
      const script = `echo "{\\"nodes\\": {\\"a\\": {\\"labels\\": {\\"seen\\": \\"$SECRET-$REGION\\"}}}}"`;
      const named = await program(script);
      const from = { ...named.from, variables: ['REGION'] } as InventorySourceConfig['from'];
      const env = { PATH: process.env['PATH'], SECRET: 'hush', REGION: 'north' };
      const followed = await follow({ sources: [{ ...named, from }], env });
      assert.deepEqual(followed.inventory.get('a').labels, { seen: '-north' });
    });

    it('is asked again after its own time', async () => {
      const source = await program(
        `echo x >>"$0.runs"; echo "{\\"nodes\\": {\\"n$(wc -l <"$0.runs" | tr -d ' ')\\": {}}}"`,
        {
          refreshMs: 30,
        },
      );
      const followed = await follow({ sources: [source] });
      await eventually(() => names(followed).includes('n3'), { label: 'the third answer' });
    });
  });

  describe('an address', () => {
    const ca = createCertificate([['CN', 'ca']]);
    const certificate = createCertificate([['CN', 'cmdb']], ca);
    let server: Server;
    let answer: { status: number; body: string } = { status: 200, body: '' };
    let asked: (string | undefined)[] = [];

    beforeEach(async () => {
      asked = [];
      answer = { status: 200, body: 'nodes: { db01: {} }\n' };
      server = createServer({ cert: certificate.certificate, key: certificate.key }, (request, response) => {
        asked.push(request.headers.authorization);
        response.writeHead(answer.status, { location: 'https://127.0.0.1:1/' });
        response.end(answer.body);
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      await directory.write({ 'ca.pem': ca.certificate, token: 'letmein\n' });
    });
    afterEach(() => server.close());

    function address(more: Record<string, unknown> = {}): InventorySourceConfig[] {
      const read = readInventorySources(
        {
          cmdb: {
            url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/nodes`,
            ca_file: join(directory.path, 'ca.pem'),
            token_file: join(directory.path, 'token'),
            timeout: '5s',
            ...more,
          },
        },
        (message) => assert.fail(message),
      );
      return read ?? [];
    }

    it('is fetched with the token of its file, from the server of the CA that was given', async () => {
      const followed = await follow({ sources: address() });
      assert.deepEqual(names(followed), ['db01', 'web01']);
      assert.deepEqual(asked, ['Bearer letmein']);
      await assert.rejects(follow({ sources: address({ ca_file: undefined }) }), /cannot be fetched \(/);
    });

    it('what is no inventory of 200 is not taken, a redirect neither', async () => {
      const followed = await follow({ sources: address() });
      answer = { status: 302, body: 'nodes: {}\n' };
      await followed.reload();
      assert.equal(followed.statuses()[1]?.problem, 'the address answered 302');
      assert.deepEqual(names(followed), ['db01', 'web01']);
    });

    it('that is down at the start counts with its copy, of the time when that was read', async () => {
      const sources = address();
      const first = await follow({ sources, copies });
      await first.reload();
      const readAtMs = first.statuses()[1]?.readAtMs ?? 0;
      server.close();
      server.closeAllConnections();
      const second = await follow({ sources, copies });
      assert.deepEqual(names(second), ['db01', 'web01']);
      const [, status] = second.statuses();
      assert.match(status?.problem ?? '', /^the address cannot be fetched \(ECONNREFUSED\)$/);
      assert.ok(Math.abs((status?.readAtMs ?? 0) - readAtMs) < 5_000);
      await assert.rejects(follow({ sources }), /cmdb: the address cannot be fetched/);
    });
  });

  it('that change together are used together, whichever is seen first', async () => {
    const second = join(directory.path, 'groups.yaml');
    await directory.write({ 'groups.yaml': 'groups: { old: { nodes: [web01] } }\n' });
    const followed = await follow({ files: [file, second] });
    await writeFile(file, 'nodes: { web02: { groups: [new] } }\n');
    await followed.reload();
    assert.deepEqual(names(followed), ['web01'], 'the group is still missing');
    await writeFile(second, 'groups: { new: { nodes: [web02] } }\n');
    await followed.reload();
    assert.deepEqual(names(followed), ['web02']);
  });
});

describe('the setting inventory_sources', () => {
  const faults = (raw: unknown): string[] => {
    const found: string[] = [];
    readInventorySources(raw, (message, path = []) => found.push(`${path.join('.')}: ${message}`));
    return found;
  };

  for (const [what, raw, fault] of [
    ['needs a program or an address', {}, /^x\.url: must be an https/],
    ['takes no plain http', { url: 'http://a.example/' }, /^x\.url: must be an https/],
    ['takes no password in an address', { url: 'https://a:b@c.example/' }, /^x\.url: must hold no password/],
    ['takes one of the two', { program: '/x', url: 'https://a.example/' }, /^x\.url: does not go together/],
    ['looks for no program on the PATH', { program: 'x' }, /^x\.program: must begin with "\/"/],
    ['bounds the time', { program: '/x', timeout: '1h' }, /^x\.timeout: must be from 1s to 10m/],
    ['knows its keys', { program: '/x', every: '1m' }, /^x\.every: is none of program/],
  ] as const) {
    it(what, () => {
      const found = faults({ x: raw });
      assert.ok(
        found.some((one) => fault.test(one)),
        found.join('\n'),
      );
    });
  }

  it('names each source so that it can be the name of a file', () => {
    assert.match(faults({ '../x': { program: '/x' } })[0] ?? '', /must be named with letters/);
  });
});
