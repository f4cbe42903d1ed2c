import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createCatalogue, type Catalogue } from '../../../services/lom/actions/catalogue.js';
import type { ModuleRegistry } from '../../../services/lom/modules/module-registry.js';
import { openSqliteStore } from '../../../services/lom/store/open-sqlite-store.js';
import type { Store } from '../../../services/lom/store/store.js';
import type { RuneError } from '../../../services/shared/errors.js';
import {
  DeregisterModuleRequest,
  HeartbeatModuleRequest,
  ModuleHealth,
  ModuleState,
  UpdateModuleRequest,
  type ModuleContent,
} from '../../../services/shared/gen/rune/v1/registry.js';
import { eventually } from '../../support/eventually.js';
import {
  bundleOf,
  bundleRequest,
  mediatorRequest,
  registrationIdOf as idOf,
  type RegisterFields,
} from '../../support/module-requests.js';
import { makeTempDirectory, type TempDirectory } from '../../support/temp-directory.js';
import { rejectionOf } from '../../support/thrown-by.js';
import { openTestRegistry, QUICK_REGISTRY } from '../../support/test-registry.js';

/** So many mediators that have ended are remembered. */
const ENDED_MEDIATORS_MAX = 100;

describe('the registry of modules', () => {
  let directory: TempDirectory;
  let store: Store;
  let catalogue: Catalogue;
  let registry: ModuleRegistry;
  let path: string;
  let configuredByDefault = false;

  const open = (): Promise<ModuleRegistry> =>
    openTestRegistry(store.modules, catalogue, {
      configured: [{ address: '192.0.2.9:50052', zone: '' }],
      configuredByDefault,
    });
  const fresh = async (): Promise<void> => {
    path = join(directory.path, `${Math.random()}.db`);
    store = await openSqliteStore(path);
    catalogue = createCatalogue([], 'No bundle');
    registry = await open();
  };
  const leave = async (): Promise<void> => {
    await registry.stop();
    await store.close();
  };
  /** As a restart of the process. */
  const restart = async (): Promise<void> => {
    await leave();
    store = await openSqliteStore(path);
    catalogue = createCatalogue([], 'No bundle');
    registry = await open();
  };

  before(async () => {
    directory = await makeTempDirectory();
  });
  beforeEach(fresh);
  afterEach(leave);
  after(() => directory.remove());

  const refused = async (promise: Promise<unknown>): Promise<RuneError> => {
    const error = await rejectionOf(promise);
    assert.notEqual(error.name, 'INTERNAL', String(error.cause));
    return error;
  };
  const registerBundle = (content: ModuleContent, fields?: RegisterFields) =>
    registry.register(bundleRequest(content, fields), 'CN=ci');
  const registerMediator = (...about: Parameters<typeof mediatorRequest>) =>
    registry.register(mediatorRequest(...about), 'CN=lmm');
  const stateOf = (id: string): ModuleState | undefined =>
    registry.list(true).find((one) => idOf(one) === id)?.state;
  const beat = (registrationId: string, fields: object = {}, caller = 'CN=lmm') =>
    registry.heartbeat(HeartbeatModuleRequest.fromPartial({ registrationId, ...fields }), caller);
  const deregister = (registrationId: string, caller = 'CN=ci') =>
    registry.deregister(DeregisterModuleRequest.fromPartial({ registrationId, reason: 'enough' }), caller);
  const names = (): string[] =>
    catalogue.registry.list().map(({ capability }) => `${capability.action}@${capability.version}`);

  it('serves the actions of a bundle that was registered, also after a restart, until it is deregistered', async () => {
    const { module, routingTags, heartbeatInterval } = await registerBundle(
      bundleOf('tools', '1.0.0', 'say'),
    );
    assert.equal(module?.state, ModuleState.ACTIVE);
    assert.deepEqual([routingTags, heartbeatInterval?.seconds], [['action:say'], 1]);
    assert.deepEqual(names(), ['say@1.0.0']);
    await restart();
    assert.deepEqual(names(), ['say@1.0.0']);
    const action = catalogue.registry.get('say');
    const { digest } = action.capability;
    assert.equal((await deregister(idOf(module))).state, ModuleState.UNAVAILABLE);
    assert.deepEqual(names(), []);
    // What was accepted before goes on with exactly what it was accepted with, also after another restart.
    assert.equal(catalogue.recall('say', '1.0.0', digest), action);
    await restart();
    assert.equal(catalogue.recall('say', '1.0.0', digest)?.capability.digest, digest);
    assert.equal(catalogue.recall('say', '1.0.0', 'other'), undefined);
  });

  it('serves the newest version and keeps the others beside it', async () => {
    const first = await registerBundle(bundleOf('tools', '1.9.0', 'say'));
    await registerBundle(bundleOf('tools', '1.10.0', 'say'));
    assert.deepEqual(names(), ['say@1.10.0']);
    assert.equal(catalogue.registry.get('say@1.9.0').capability.version, '1.9.0');
    assert.equal(stateOf(idOf(first.module)), ModuleState.AVAILABLE);
  });

  it('takes the same bundle again, and refuses other content under the same version', async () => {
    const first = await registerBundle(bundleOf('tools', '1.0.0', 'say'));
    const again = await registerBundle(bundleOf('tools', '1.0.0', 'say'));
    assert.deepEqual([again.existing, idOf(again.module)], [true, idOf(first.module)]);
    const error = await refused(registerBundle(bundleOf('tools', '1.0.0', 'say', 'other')));
    assert.equal(error.name, 'MODULE_VERSION_CONFLICT');
  });

  it('refuses an action that another module provides, and a bundle that rune plugin lint would refuse', async () => {
    await registerBundle(bundleOf('tools', '1.0.0', 'say'));
    const foreign = await refused(registerBundle(bundleOf('others', '2.0.0', 'say')));
    assert.equal(foreign.name, 'ACTION_ALREADY_PROVIDED');
    const faulty = async (fields: object): Promise<string> =>
      (await refused(registerBundle(bundleOf('more', '1.0.0', 'tell', '', fields)))).name;
    assert.equal(await faulty({ version: 'one' }), 'FIELD_MALFORMED');
    assert.equal(await faulty({ risk: 'none' }), 'FIELD_OUT_OF_RANGE');
    assert.equal(await faulty({ entrypoint: 'gone.sh' }), 'MODULE_CONTENT_INVALID');
    assert.equal(await faulty({ input_schema: { type: 'object', properties: 3 } }), 'FIELD_WRONG_TYPE');
    assert.deepEqual(names(), ['say@1.0.0']);
  });

  it('refuses content that is not what it says it is', async () => {
    const content = bundleOf('tools', '1.0.0', 'say');
    const [head, ...rest] = content.files;
    assert.ok(head !== undefined);
    const named = async (files: ModuleContent['files']): Promise<string> =>
      (await refused(registerBundle({ files }))).name;
    assert.equal(await named([]), 'FIELD_MISSING');
    assert.equal(await named([{ ...head, sha256: '0'.repeat(64) }, ...rest]), 'CHECKSUM_MISMATCH');
    assert.equal(await named([{ ...head, path: '../bundle.yaml' }, ...rest]), 'FIELD_MALFORMED');
    assert.equal(await named([head, head, ...rest]), 'FIELD_OUT_OF_RANGE');
    const large = { path: 'large', content: Buffer.alloc(4 * 1024 * 1024), sha256: '' };
    assert.equal(await named([head, ...rest, large]), 'FIELD_OUT_OF_RANGE');
    const identity = { moduleType: 1, moduleName: 'other' } as const;
    const error = await refused(registerBundle(content, { registration: { moduleIdentity: identity } }));
    assert.deepEqual([error.name, error.facts.field], ['FIELD_MALFORMED', 'module_identity.module_name']);
  });

  it('refuses with each refusal of MRS by its own name', async () => {
    const fault = async (fields: object, identity: object = {}): Promise<string> => {
      const { name, facts } = await refused(registerMediator('lmm', fields, identity));
      return `${name} ${facts.field}`;
    };
    const metadata = 'capability_declaration.service_metadata';
    assert.equal(await fault({ address: '' }), `FIELD_MISSING ${metadata}.address`);
    assert.equal(await fault({ address: 'unix:/x' }), `FIELD_MALFORMED ${metadata}.address`);
    assert.equal(await fault({ maxConcurrentRuns: 0 }), `FIELD_OUT_OF_RANGE ${metadata}.max_concurrent_runs`);
    assert.equal(await fault({ connection: 2 }), `FIELD_NOT_SUPPORTED ${metadata}.connection`);
    assert.equal(await fault({}, { moduleName: 'Lmm' }), 'FIELD_MALFORMED module_identity.module_name');
    assert.equal(await fault({}, { moduleVersion: '1' }), 'FIELD_MALFORMED module_identity.module_version');
    const asked = mediatorRequest('lmm');
    asked.content = bundleOf('tools', '1.0.0', 'say');
    assert.equal((await refused(registry.register(asked, 'CN=lmm'))).name, 'FIELD_WRONG_TYPE');
    const schema = { type: 'object', properties: 3 };
    const odd = { technicalRequirements: { configurationSchema: schema } };
    const error = await refused(registerBundle(bundleOf('tools', '1.0.0', 'say'), { registration: odd }));
    assert.equal(error.name, 'SCHEMA_INVALID');
  });

  it('lets nobody register, change or end anything who is not named for it', async () => {
    const none = await refused(registry.register(mediatorRequest('lmm'), 'CN=ci'));
    assert.match(`${none.name} ${none.message}`, /CALLER_NOT_ALLOWED.*modules\.mediator_identities/);
    assert.equal(
      (await refused(registry.register(bundleRequest(bundleOf('tools', '1.0.0', 'say')), 'CN=lmm'))).name,
      'CALLER_NOT_ALLOWED',
    );
    const { module } = await registerMediator('lmm');
    assert.equal((await refused(beat(idOf(module), {}, 'CN=ci'))).name, 'CALLER_NOT_ALLOWED');
    const tools = await registerBundle(bundleOf('tools', '1.0.0', 'say'));
    assert.equal((await refused(deregister(idOf(tools.module), 'CN=lmm'))).name, 'CALLER_NOT_ALLOWED');
    // Whoever may register bundles may also clear away a mediator that is no more.
    assert.equal((await deregister(idOf(module))).state, ModuleState.UNAVAILABLE);
  });

  it('checks what a module depends on, and stops serving it when that is gone', async () => {
    const needs = (versionRequirement: string, criticality: 1 | 2): RegisterFields => ({
      registration: {
        technicalRequirements: { dependencies: [{ moduleName: 'base', versionRequirement, criticality }] },
      },
    });
    const tools = bundleOf('tools', '1.0.0', 'say');
    assert.equal(
      (await refused(registerBundle(tools, needs('^1.2.0', 1)))).name,
      'MODULE_DEPENDENCY_MISSING',
    );
    const { warnings } = await registerBundle(bundleOf('loose', '1.0.0', 'hum'), needs('^1.2.0', 2));
    assert.equal(warnings.length, 1);
    const base = await registerBundle(bundleOf('base', '1.1.0', 'stand'));
    const error = await refused(registerBundle(tools, needs('^1.2.0', 1)));
    assert.match(`${error.name} ${error.message}`, /MODULE_VERSION_CONFLICT.*there is 1\.1\.0/);
    const { module } = await registerBundle(tools, needs('~1.1.0', 1));
    assert.deepEqual(names(), ['hum@1.0.0', 'say@1.0.0', 'stand@1.1.0']);
    await deregister(idOf(base.module));
    assert.equal(stateOf(idOf(module)), ModuleState.DEGRADED);
    assert.deepEqual(names(), ['hum@1.0.0']);
  });

  it('updates a bundle by replacing, merging and appending files, each as a version of its own', async () => {
    const { module } = await registerBundle(bundleOf('tools', '1.0.0', 'say'));
    const update = (previousRegistrationId: string, updateMode: 1 | 2 | 3, content: ModuleContent) =>
      registry.update(
        UpdateModuleRequest.fromPartial({
          registration: { registrationMetadata: { updateMode, previousRegistrationId } },
          content,
        }),
        'CN=ci',
      );
    const only = (content: ModuleContent, ...paths: string[]): ModuleContent => ({
      files: content.files.filter(({ path: each }) => paths.includes(each)),
    });
    const next = bundleOf('tools', '1.1.0', 'say');
    const same = await refused(update(idOf(module), 2, only(next, 'say/plugin.sh')));
    assert.equal(same.name, 'MODULE_VERSION_CONFLICT');
    const merged = await update(idOf(module), 2, only(next, 'bundle.yaml', 'say/manifest.yaml'));
    assert.deepEqual(names(), ['say@1.1.0']);
    assert.match(catalogue.registry.get('say').script.toString(), /1\.0\.0/, 'the script was not sent');
    assert.equal(stateOf(idOf(module)), ModuleState.UNAVAILABLE);
    const taken = await refused(update(idOf(merged.module), 3, only(next, 'say/plugin.sh')));
    assert.equal(taken.name, 'FIELD_OUT_OF_RANGE');
    const replaced = await update(idOf(merged.module), 1, bundleOf('tools', '2.0.0', 'tell'));
    assert.deepEqual([names(), replaced.module?.state], [['tell@2.0.0'], ModuleState.ACTIVE]);
  });

  it('knows a mediator as long as it says that it lives, and again when it does', async () => {
    const { module, heartbeatInterval } = await registerMediator('lmm');
    const id = idOf(module);
    assert.equal(heartbeatInterval?.nanos, 100_000_000);
    const words = (): string | undefined =>
      registry.mediators().find(({ address }) => address === '192.0.2.1:50052')?.trouble?.words;
    assert.equal(words(), undefined);
    await eventually(() => words()?.startsWith('silent') === true, { label: 'its silence' });
    assert.equal(stateOf(id), ModuleState.UNAVAILABLE);
    await beat(id, { load: { runsActive: 1, runsMax: 10 } });
    assert.deepEqual([words(), stateOf(id)], [undefined, ModuleState.ACTIVE]);
    await beat(id, { healthStatus: ModuleHealth.DEGRADED, healthReason: 'hot' });
    assert.deepEqual([words(), stateOf(id)], ['says that it is degraded: hot', ModuleState.DEGRADED]);
    await beat(id, { draining: true });
    assert.equal(words(), 'draining');
    await beat(id);
    assert.deepEqual([words(), stateOf(id)], [undefined, ModuleState.AVAILABLE]);
  });

  it('keeps what a mediator said of itself while an update of it was under way', async () => {
    const { module } = await registerMediator('lmm');
    const previousRegistrationId = idOf(module);
    const updating = registry.update(
      UpdateModuleRequest.fromPartial({
        registration: {
          registrationMetadata: { updateMode: 2, previousRegistrationId },
          capabilityDeclaration: { serviceMetadata: { labels: { rack: 'b4' } } },
        },
      }),
      'CN=lmm',
    );
    await beat(previousRegistrationId, { draining: true });
    await updating;
    assert.equal(registry.mediators()[0]?.trouble?.words, 'draining');
  });

  it('lets another process take an address, and no module the name of another', async () => {
    const first = await registerMediator('lmm-a');
    const taken = await refused(
      registerMediator('lmm-a', { address: '192.0.2.2:1', lmmInstanceId: 'other' }),
    );
    assert.equal(taken.name, 'MODULE_NAME_TAKEN');
    const next = await registerMediator('lmm-b');
    assert.equal(stateOf(idOf(first.module)), ModuleState.UNAVAILABLE);
    assert.equal((await refused(beat(idOf(first.module)))).name, 'MODULE_NOT_REGISTERED');
    const again = await registerMediator('lmm-b', { zone: 'eu' });
    assert.deepEqual([again.existing, idOf(again.module)], [true, idOf(next.module)]);
    const known = registry.mediators().map(({ address, zone }) => `${address} ${zone}`);
    assert.deepEqual(known.toSorted(), ['192.0.2.1:50052 eu', '192.0.2.9:50052 ']);
  });

  it('remembers few of the mediators that have ended, however often one registers again', async () => {
    const oldest = idOf((await registerMediator('lmm-0')).module);
    for (let count = 1; count <= ENDED_MEDIATORS_MAX + 1; count += 1) await registerMediator(`lmm-${count}`);
    await eventually(() => stateOf(oldest) === undefined, { label: 'the oldest one to be forgotten' });
    const left = registry.list(true).filter(({ endedAt }) => endedAt !== undefined);
    assert.ok(left.length >= ENDED_MEDIATORS_MAX, `${left.length} are left`);
    await restart();
    assert.equal(stateOf(oldest), undefined);
  });

  it('takes little of a mediator, of which there may be many', async () => {
    const { name, facts } = await refused(
      registerMediator('lmm', { labels: { text: 'x'.repeat(32 * 1024) } }),
    );
    assert.deepEqual([name, facts.validationErrors?.[0]?.field], ['FIELD_OUT_OF_RANGE', 'registration']);
    await registerMediator('lmm', { labels: { text: 'x'.repeat(30 * 1024) } });
  });

  it('uses mediators that are configured by default only while none has registered', async () => {
    const addresses = (): string[] => registry.mediators().map(({ address }) => address);
    configuredByDefault = true;
    await restart();
    configuredByDefault = false;
    assert.deepEqual(addresses(), ['192.0.2.9:50052']);
    const { module } = await registerMediator('lmm');
    assert.deepEqual(addresses(), ['192.0.2.1:50052']);
    assert.equal(registry.list(false).length, 1);
    await deregister(idOf(module));
    assert.deepEqual(addresses().toSorted(), ['192.0.2.1:50052', '192.0.2.9:50052']);
  });

  it('ends what said until when it is registered, and has room for so many', async () => {
    const expiresAt = new Date(Date.now() + 1_500);
    const { module, heartbeatInterval } = await registerBundle(bundleOf('tools', '1.0.0', 'say'), {
      registration: { registrationMetadata: { expiresAt } },
    });
    assert.equal(heartbeatInterval, undefined);
    for (let count = 1; count < QUICK_REGISTRY.registeredMax; count += 1)
      await registerMediator(`lmm-${count}`, { address: `192.0.2.1:${count}` });
    const full = await refused(registerMediator('lmm', { address: '192.0.2.3:1' }));
    assert.equal(full.name, 'TOO_MANY_MODULES');
    await eventually(() => names().length === 0, { label: 'the end of the bundle' });
    assert.equal(stateOf(idOf(module)), ModuleState.UNAVAILABLE);
    await registerMediator('lmm', { address: '192.0.2.3:1' });
  });

  it('is the same for another orchestrator over the same store, which hears heartbeats by it', async () => {
    const other = await openTestRegistry(store.modules, createCatalogue([], 'No bundle'));
    try {
      const { module } = await registerMediator('lmm');
      const id = idOf(module);
      // One that has never heard of it looks first.
      await other.heartbeat(
        HeartbeatModuleRequest.fromPartial({ registrationId: id, draining: true }),
        'CN=lmm',
      );
      await eventually(() => registry.mediators()[0]?.trouble?.words === 'draining', { label: 'the news' });
      await deregister(id);
      await eventually(() => other.list(false).length === 0, { label: 'its end' });
      assert.match(other.mediators()[0]?.trouble?.words ?? '', /enough/);
    } finally {
      await other.stop();
    }
  });
});
