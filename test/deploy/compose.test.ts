import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { LMM_SETTINGS } from '../../services/lmm/config.js';
import { LOM_SETTINGS } from '../../services/lom/config.js';
import { loadInventory } from '../support/load-inventory.js';
import { readSettings } from '../../services/shared/settings/config.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { readDockerfile } from '../support/dockerfile.js';
import { makeTempDirectory } from '../support/temp-directory.js';
import { composeSchemaFile } from '../support/test-tools.js';

const execute = promisify(execFile);
const directory = join(packageRoot, 'deploy');
const inDeploy = (path: string): string => join(directory, path);

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

interface ComposeService {
  readonly image: string;
  readonly build?: string | { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly depends_on?: Readonly<Record<string, unknown>>;
}

describe('deploy/compose.yaml', () => {
  const compose = parse(readFileSync(inDeploy('compose.yaml'), 'utf8'), { merge: true }) as Compose;
  const services = Object.entries(compose.services);

  it('is a compose file', () => {
    const schema = JSON.parse(readFileSync(composeSchemaFile, 'utf8')) as Record<string, unknown>;
    delete schema['$schema'];
    const validate = new Ajv({ strict: false, formats: { duration: true, subnet_ip_address: true } }).compile(
      schema,
    );
    assert.ok(validate(compose), JSON.stringify(validate.errors));
    assert.ok(
      !validate({ services: { one: { image: 'rune', comand: [] } } }),
      'it would refuse a key it does not know',
    );
  });

  it('mounts, builds and waits for what there is', () => {
    for (const [name, service] of services) {
      for (const volume of service.volumes ?? []) {
        const [source = ''] = volume.split(':');
        const known = source.startsWith('.') ? existsSync(inDeploy(source)) : source in compose.volumes;
        assert.ok(known, `${name}: ${volume}`);
      }
      for (const other of Object.keys(service.depends_on ?? {})) assert.ok(other in compose.services, other);
      const { build } = service;
      if (build === undefined) continue;
      const file =
        typeof build === 'string' ? join(build, 'Dockerfile') : join(build.context, build.dockerfile);
      assert.ok(existsSync(inDeploy(file)), file);
    }
  });

  it('keeps the services read-only, and opens one port to this host alone', () => {
    for (const name of ['lom', 'lmm1', 'lmm2']) assert.equal(compose.services[name]?.read_only, true, name);
    assert.deepEqual(
      services.flatMap(([, { ports }]) => ports ?? []),
      ['127.0.0.1:50051:50051'],
    );
  });

  it('configures services and nodes that are in it', async () => {
    const lom = readSettings(LOM_SETTINGS, { prefix: 'LOM', env: {}, file: inDeploy('compose/lom.yaml') });
    const lmm = readSettings(LMM_SETTINGS, { prefix: 'LMM', env: {}, file: inDeploy('compose/lmm.yaml') });
    const inventory = await loadInventory([inDeploy('compose/inventory.yaml')]);
    const nodes = inventory.nodes.map(({ name }) => name);
    assert.deepEqual(
      [...lom.mediators.map((address) => address.split(':')[0]), new URL(lom.store).host, ...nodes].filter(
        (name) => name === undefined || !(name in compose.services),
      ),
      [],
    );
    assert.deepEqual(lmm.credentials['default']?.allowedHosts, nodes);
    assert.deepEqual(compose.services['keys']?.command?.slice(3), nodes);
  });

  it('makes keys that its mediators can read, and known hosts; again it changes nothing', async () => {
    const made = await makeTempDirectory();
    try {
      const user = String(process.getuid?.() ?? 0);
      const make = (): Promise<unknown> =>
        execute(inDeploy('compose/node/make-keys'), [made.path, user, 'node1', 'node2']);
      await make();
      const known = await readFile(join(made.path, 'known_hosts'), 'utf8');
      const [, type, key] = known.split('\n')[1]?.split(' ') ?? [];
      assert.match(await readFile(join(made.path, 'node2_host_key.pub'), 'utf8'), new RegExp(`^${type} `));
      assert.ok((await readFile(join(made.path, 'node2_host_key.pub'), 'utf8')).includes(String(key)));
      assert.equal((await stat(join(made.path, 'id_ed25519'))).mode & 0o777, 0o600);
      await make();
      assert.equal(await readFile(join(made.path, 'known_hosts'), 'utf8'), known);
      assert.equal((await readdir(made.path)).length, 7);
    } finally {
      await made.remove();
    }
  });

  it('has nodes that are built from files that are there', () => {
    const file = inDeploy('compose/node/Dockerfile');
    const copied = readDockerfile(readFileSync(file, 'utf8')).filter(({ name }) => name === 'COPY');
    assert.ok(copied.length > 0);
    for (const { text } of copied)
      assert.ok(existsSync(resolve(dirname(file), text.split(' ')[0] ?? '')), text);
  });
});
