import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { runCli } from '../../services/cli/cli.js';
import { eventually } from '../support/eventually.js';
import { bundleOf } from '../support/module-requests.js';
import { startService, type ServiceProcess } from '../support/service-process.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';
import { makeTestBundle } from '../support/test-bundle.js';
import { createFakeIo } from './fake-io.js';

describe('rune modules against a LOM', () => {
  let directory: TempDirectory;
  let lom: ServiceProcess;
  let bundle: string;
  let served: string;
  let second: string;

  before(async () => {
    directory = await makeTempDirectory();
    bundle = await makeTestBundle(directory.path, 'durable');
    served = await makeTestBundle(directory.path, 'foreign');
    await directory.write(
      Object.fromEntries(
        bundleOf('second', '1.0.0', 'say').files.map(({ path, content }) => [
          `second/${path}`,
          content.toString(),
        ]),
      ),
    );
    second = join(directory.path, 'second');
    await directory.write({
      'inventory.yaml': stringify({ nodes: {} }),
      'lom.yaml': stringify({
        listen: '127.0.0.1:0',
        plugins: [served, second],
        // Only SIGHUP makes it look.
        plugins_recheck: '1h',
        inventory: [join(directory.path, 'inventory.yaml')],
        mediators: ['eu=192.0.2.9:50052'],
        store: join(directory.path, 'rune.db'),
      }),
    });
    lom = await startService('lom', join(directory.path, 'lom.yaml'));
  });
  after(async () => {
    assert.equal(await lom.stop(), 0);
    await directory.remove();
  });

  const modules = async (...args: string[]) => {
    const io = createFakeIo({ env: { XDG_CONFIG_HOME: '/nonexistent' }, nowMs: () => Date.now() });
    const code = await runCli(['modules', ...args, '--server', lom.address], io);
    return { code, out: io.out(), err: io.err() };
  };
  const setVersion = async (version: string): Promise<void> => {
    for (const file of ['bundle.yaml', 'append-run/manifest.yaml']) {
      const path = join(bundle, file);
      const text = await readFile(path, 'utf8');
      await writeFile(path, text.replace(/version: \S+/, `version: ${version}`));
    }
  };

  it('registers a directory, shows it beside the others, and ends it', async () => {
    const first = await modules('register', bundle);
    assert.deepEqual([first.code, first.err], [0, '']);
    const [, label = ''] = /^(\S+@\S+) is registered, active$/m.exec(first.out) ?? [];
    const [name = ''] = label.split('@');
    assert.notEqual(name, '', first.out);
    assert.match((await modules('register', bundle)).out, /was registered already/);
    await setVersion('1.7.0');
    assert.match((await modules('register', bundle, '--for', '1h')).out, /@1\.7\.0 is registered, active/);

    const list = await modules();
    assert.match(list.out, new RegExp(`^${label} +bundle +available +registered +1 action$`, 'm'));
    assert.match(list.out, /^foreign@1\.0\.0 +bundle +active +directory +\d+ actions$/m);
    assert.match(
      list.out,
      /^mediator-192-0-2-9-50052 +mediator +discovered +configured +192\.0\.2\.9:50052, zone eu$/m,
    );
    const mediators = JSON.parse((await modules('list', '--type', 'mediator', '-o', 'json')).out) as {
      modules: unknown[];
    };
    assert.equal(mediators.modules.length, 1);
    const shown = await modules('show', `${name}@1.7.0`);
    assert.match(shown.out, /actions: +append-run@1\.7\.0/);
    assert.match(shown.out, /registered by: +loopback/);

    const several = await modules('deregister', name);
    assert.equal(several.code, 2);
    assert.match(several.err, /several versions, name one/);
    const gone = await modules('deregister', label, '--reason', 'replaced');
    assert.match(gone.out, /is deregistered; what was accepted before goes on/);
    assert.doesNotMatch((await modules()).out, new RegExp(`^${label} `, 'm'));
    assert.match((await modules('list', '--ended')).out, /unavailable \(deregistered: replaced\)/);
  });

  it('shows directories as they are after SIGHUP, all of them or, with a fault in one, none', async () => {
    const head = join(served, 'bundle.yaml');
    const [sound, other] = [
      await readFile(head, 'utf8'),
      await readFile(join(second, 'bundle.yaml'), 'utf8'),
    ];
    await writeFile(join(second, 'bundle.yaml'), other.replace('1.0.0', '1.1.0'));
    await writeFile(head, `${sound}\ncolor: red\n`);
    lom.kill('SIGHUP');
    const refused = await eventually(
      () => lom.log.find((line) => line.includes('the old ones stay')) ?? false,
      {
        label: 'the refusal',
      },
    );
    assert.match(refused, /bundle\.yaml:\d+: color/);
    assert.match((await modules()).out, /^second@1\.0\.0 /m);
    await writeFile(head, sound);
    lom.kill('SIGHUP');
    await eventually(async () => /^second@1\.1\.0 /m.test((await modules()).out), {
      label: 'the new version',
    });
  });

  it('says what is wrong with a bundle before it is sent, and what LOM refuses after', async () => {
    const manifest = join(bundle, 'append-run', 'manifest.yaml');
    const text = await readFile(manifest, 'utf8');
    await writeFile(manifest, text.replace('risk: low', 'risk: none'));
    const faulty = await modules('register', bundle);
    assert.equal(faulty.code, 2);
    assert.match(faulty.err, /manifest\.yaml:\d+.*risk/s);
    await setVersion('1.8.0');
    await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('risk: none', 'risk: low'));
    assert.equal((await modules('register', bundle)).code, 0);
    await writeFile(
      join(bundle, 'append-run', 'plugin.sh'),
      '#!/usr/bin/env bash\nrune_init\nrune_ok other\n',
    );
    const other = await modules('register', bundle);
    assert.equal(other.code, 4);
    assert.match(other.err, /MODULE_VERSION_CONFLICT/);
    assert.equal((await modules('show', 'nope')).code, 2);
    const directoryOnly = await modules('deregister', 'foreign');
    assert.match(directoryOnly.err, /comes from a directory/);
    assert.equal((await modules('register', join(bundle, 'append-run'))).code, 2);
  });
});
