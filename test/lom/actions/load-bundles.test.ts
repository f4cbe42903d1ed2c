import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Delivery, PluginProtocol, Risk } from '../../../services/shared/gen/rune/v1/mrs.js';
import { packageRoot } from '../../../services/shared/process/package-root.js';
import { bundleDirectory } from './bundle-directory.js';
import { BUNDLE, MANIFEST, SCRIPT, bundle, prefixed, type Files } from './say-bundle.js';

describe('load bundles', () => {
  const { directory, load, faults } = bundleDirectory();

  it('makes actions of manifests, with defaults for what is left out', async () => {
    await directory.write(bundle());
    const { capability, script, scriptSha256, library, librarySha256, input } = (
      await load([directory.path])
    ).get('say');
    const { digest, ...declared } = capability;
    assert.deepEqual(declared, {
      action: 'say',
      version: '1.0.0',
      description: 'Says something.',
      inputSchema: JSON.stringify(MANIFEST.input_schema),
      outputSchema: JSON.stringify(MANIFEST.output_schema),
      risk: Risk.LOW,
      idempotent: false,
      supportsDryRun: false,
      timeoutMs: 60_000,
      cooldownMs: 0,
      maxConcurrent: 0,
      examples: [],
      delivery: Delivery.STREAM,
      leavesProcesses: false,
      systemdScope: false,
      moduleName: 'test',
      protocol: PluginProtocol.BPCS,
      requires: { commands: [], os: [] },
      configurationSchema: '',
      runAs: '',
    });
    assert.match(digest, /^[0-9a-f]{64}$/);
    assert.equal(script.toString(), SCRIPT);
    assert.equal(scriptSha256, createHash('sha256').update(SCRIPT).digest('hex'));
    assert.equal(library.toString(), 'rune_ok() { :; }\n');
    assert.equal(librarySha256, createHash('sha256').update(library).digest('hex'));
    assert.deepEqual(
      input.validate({ text: 'much too long' }).map(({ field }) => field),
      ['params.text'],
    );
  });

  it('takes everything that a manifest may say', async () => {
    const examples = [
      { description: 'One', params: { text: 'hi' }, output: { said: 'hi' } },
      { description: 'Two', params: {} },
    ];
    const manifest = {
      ...MANIFEST,
      delivery: 'directory',
      mode: 'attached',
      risk: 'destructive',
      idempotent: true,
      supports_dry_run: true,
      leaves_processes: true,
      systemd_scope: true,
      timeout_ms: 1000,
      cooldown_ms: 2000,
      max_concurrent: 3,
      run_as: 'postgres',
      examples,
      entrypoint: 'bin/run.py',
    };
    await directory.write(
      bundle({ 'say/manifest.yaml': manifest, 'say/bin/run.py': '#!/usr/bin/python3\n' }),
    );
    const { capability } = (await load([directory.path])).get('say');
    assert.equal(capability.delivery, Delivery.DIRECTORY);
    assert.equal(capability.risk, Risk.DESTRUCTIVE);
    assert.equal(capability.timeoutMs, 1000);
    assert.equal(capability.cooldownMs, 2000);
    assert.equal(capability.maxConcurrent, 3);
    assert.equal(capability.runAs, 'postgres');
    assert(
      capability.idempotent &&
        capability.supportsDryRun &&
        capability.leavesProcesses &&
        capability.systemdScope,
    );
    assert.deepEqual(capability.examples, [examples[0], { ...examples[1], output: undefined }]);
  });

  it('names an action by what sha256sum prints for its files', async () => {
    await directory.write(bundle());
    const { digest } = (await load([directory.path])).get('say').capability;
    const command = 'sha256sum lib/rune_bpcs.sh say/manifest.yaml say/plugin.sh | sha256sum';
    const printed = execFileSync('bash', ['-c', command], { cwd: directory.path, encoding: 'utf8' });
    assert.equal(printed, `${digest}  -\n`);
  });

  it('gives another digest when any of the files changes', async () => {
    const digests = new Set<string>();
    for (const other of [
      {},
      { 'say/plugin.sh': `${SCRIPT}#` },
      { 'lib/rune_bpcs.sh': '#' },
      { 'say/manifest.yaml': { ...MANIFEST, risk: 'high' } },
    ]) {
      await directory.write(bundle(other));
      digests.add((await load([directory.path])).get('say').capability.digest);
    }
    assert.equal(digests.size, 4);
  });

  it('takes the library that comes with RUNE for a bundle that names none', async () => {
    await directory.write(bundle({ 'bundle.yaml': { ...BUNDLE, library: undefined } }));
    const { library } = (await load([directory.path])).get('say');
    assert.ok(library.equals(await readFile(join(packageRoot, 'plugins/lib/rune_bpcs.sh'))));
  });

  it('reads the helper files of the action and of the bundle, and names them in the digest', async () => {
    const helpers = { 'say/words.sh': 'words() { :; }\n', 'common/list.sh': 'list() { :; }\n' };
    const manifest = { ...MANIFEST, files: ['words.sh', '/common/list.sh'] };
    await directory.write(bundle({ ...helpers, 'say/manifest.yaml': manifest }));
    const { files, capability } = (await load([directory.path])).get('say');
    assert.deepEqual(
      files.map(({ path, bytes }) => [path, bytes.toString()]),
      [
        ['words.sh', 'words() { :; }\n'],
        ['common/list.sh', 'list() { :; }\n'],
      ],
    );
    await directory.write({ 'common/list.sh': 'list() { echo; }\n' });
    assert.notEqual((await load([directory.path])).get('say').capability.digest, capability.digest);
  });

  it('reads what a node must have, in both ways of writing it', async () => {
    const commands = ['systemctl', '/usr/bin/docker'];
    const os = [{ id: 'debian', version_min: '11' }, { id: 'rhel' }];
    for (const [requires, expected] of [
      [commands, { commands, os: [] }],
      [
        { commands, os },
        {
          commands,
          os: [
            { id: 'debian', versionMin: '11' },
            { id: 'rhel', versionMin: '' },
          ],
        },
      ],
    ]) {
      await directory.write(bundle({ 'say/manifest.yaml': { ...MANIFEST, requires } }));
      assert.deepEqual((await load([directory.path])).get('say').capability.requires, expected);
    }
  });

  describe('of an action with a configuration', () => {
    const configuration_schema = {
      type: 'object',
      additionalProperties: false,
      properties: { paths: { type: 'array', items: { type: 'string' }, default: ['/var/log'] } },
    };
    const configured = (values: unknown, changes: object = {}): Files =>
      bundle({
        'bundle.yaml': values === undefined ? BUNDLE : { ...BUNDLE, configuration: values },
        'say/manifest.yaml': { ...MANIFEST, configuration_schema: { ...configuration_schema, ...changes } },
      });

    it('keeps what the bundle gives it', async () => {
      await directory.write(configured({ say: { paths: ['/srv'] } }));
      const { configuration } = (await load([directory.path])).get('say');
      assert.deepEqual(configuration?.values, { paths: ['/srv'] });
    });

    it('refuses values that do not fit, by their line in bundle.yaml', async () => {
      await directory.write(configured({ say: { paths: ['/srv', 3] } }));
      assert.deepEqual(await faults(), ['bundle.yaml:12 TYPE configuration.say.paths[1] must be a string']);
    });

    it('refuses values for an action that is not there or has no configuration', async () => {
      await directory.write(configured({ sya: {} }));
      assert.deepEqual(await faults(), [
        'bundle.yaml:9 UNKNOWN configuration.sya names "sya", no action of this bundle; did you mean "say"?',
      ]);
      await directory.write({ 'say/manifest.yaml': stringify(MANIFEST) });
      await directory.write({ 'bundle.yaml': stringify({ ...BUNDLE, configuration: { say: {} } }) });
      assert.deepEqual(await faults(), [
        'bundle.yaml:9 UNKNOWN configuration.say is for an action without a configuration_schema',
      ]);
    });

    it('refuses a schema that asks for a value that nobody gives', async () => {
      await directory.write(
        configured(undefined, { required: ['token'], properties: { token: { type: 'string' } } }),
      );
      assert.deepEqual(await faults(), [
        'say/manifest.yaml REQUIRED its configuration token is required: give a default, or a value in bundle.yaml',
      ]);
    });
  });

  it('runs the bytes it read, whatever happens to the files later', async () => {
    await directory.write(bundle());
    const action = (await load([directory.path])).get('say');
    await directory.write({ 'say/plugin.sh': '#!/bin/bash\nrm -rf /\n' });
    assert.equal(action.script.toString(), SCRIPT);
  });

  it('accepts the library by a link inside the bundle', async () => {
    await directory.write(bundle({ 'lib/rune_bpcs.sh': undefined, 'shared/library.sh': ':\n', 'lib/x': '' }));
    await symlink('../shared/library.sh', join(directory.path, 'lib/rune_bpcs.sh'));
    assert.deepEqual(await faults(), []);
  });

  describe('of several bundles', () => {
    const other = (head: object, manifest: object): Files =>
      prefixed(
        'b',
        bundle({ 'bundle.yaml': { ...BUNDLE, ...head }, 'say/manifest.yaml': { ...MANIFEST, ...manifest } }),
      );

    it('serves the newest version by default and the others by name@version', async () => {
      await directory.write({
        ...prefixed('a', bundle()),
        ...other({ module_version: '1.10.0' }, { version: '1.10.0' }),
      });
      const registry = await load([join(directory.path, 'a'), join(directory.path, 'b')]);
      assert.equal(registry.get('say').capability.version, '1.10.0');
      assert.equal(registry.get('say@1.0.0').capability.version, '1.0.0');
      assert.deepEqual(
        registry.list().map(({ capability }) => capability.version),
        ['1.10.0'],
      );
    });

    it('refuses one version of an action from two places, naming both', async () => {
      await directory.write({
        ...prefixed('a', bundle()),
        ...other({ module_version: '2.0.0' }, { risk: 'high' }),
      });
      assert.deepEqual(await faults('a', 'b'), [
        'b/say/manifest.yaml VERSION_CONFLICT the action say@1.0.0 is provided by a/say/manifest.yaml too',
      ]);
    });

    it('refuses an action from two modules, whatever its versions, naming both', async () => {
      for (const version of ['1.0.0', '2.0.0']) {
        await directory.write({
          ...prefixed('a', bundle()),
          ...other({ module_name: 'other' }, { version }),
        });
        assert.deepEqual(await faults('a', 'b'), [
          'b/say/manifest.yaml ALREADY_PROVIDED the action say is already provided by a/say/manifest.yaml (module test)',
        ]);
      }
    });

    it('refuses one version of a module from two places', async () => {
      await directory.write({ ...prefixed('a', bundle()), ...other({}, { version: '2.0.0' }) });
      assert.deepEqual(await faults('a', 'b'), [
        'b/bundle.yaml DUPLICATE the module test@1.0.0 is declared by a/bundle.yaml too',
      ]);
    });
  });
});
