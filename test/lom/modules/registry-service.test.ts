import assert from 'node:assert/strict';
import { createCatalogue } from '../../../services/lom/actions/catalogue.js';
import type { ModuleRegistry } from '../../../services/lom/modules/module-registry.js';
import { registryHandlers } from '../../../services/lom/modules/registry-handlers.js';
import { watchModules } from '../../../services/lom/modules/watch-modules.js';
import { RuneError } from '../../../services/shared/errors.js';
import { ErrorClassification } from '../../../services/shared/gen/rune/v1/eps.js';
import { ModuleType } from '../../../services/shared/gen/rune/v1/mrs.js';
import {
  DeregisterModuleRequest,
  HeartbeatModuleRequest,
  ListModulesRequest,
  ModuleState,
  RegistryServiceService,
  UpdateModuleRequest,
  WatchModulesRequest,
  type RegisterModuleRequest,
  type WatchModulesResponse,
} from '../../../services/shared/gen/rune/v1/registry.js';
import { bindService } from '../../../services/shared/rpc/rpc-binding.js';
import { createRpcClient, type RpcClient } from '../../../services/shared/rpc/rpc-client.js';
import { startRpcServer, type RpcServer } from '../../../services/shared/rpc/rpc-server.js';
import { eventually } from '../../support/eventually.js';
import { bundleOf, bundleRequest, mediatorRequest, registrationIdOf } from '../../support/module-requests.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { makeTempStore, type TempStore } from '../../support/temp-store.js';
import { rejectionOf } from '../../support/thrown-by.js';
import { openTestRegistry, QUICK_REGISTRY } from '../../support/test-registry.js';

const WATCHER = 'loopback';
const CHANGES = 40;

type Watched = NonNullable<WatchModulesResponse['event']>;

const STATE_NAMES = new Map<number, string>(
  Object.entries(ModuleState).map(([name, value]) => [value, name]),
);

/** An event in a few words, such as "tools@1.0.0 ACTIVE". */
function words(event: Watched | undefined): string {
  if (event?.$case !== 'module') return event?.$case ?? 'nothing';
  const { registration, state } = event.value;
  const { moduleName = '', moduleVersion = '' } = registration?.moduleIdentity ?? {};
  return `${moduleName}@${moduleVersion} ${STATE_NAMES.get(state)}`;
}

describe('the registry as it is called', () => {
  let temp: TempStore;
  let registry: ModuleRegistry;
  let server: RpcServer;
  let client: RpcClient<RegistryServiceService>;
  /** Listeners of the registry. */
  let listening: number;

  beforeEach(async () => {
    temp = await makeTempStore();
    registry = await openTestRegistry(temp.store.modules, createCatalogue([], 'No bundle'), {
      settings: {
        ...QUICK_REGISTRY,
        // Nothing falls silent by itself here.
        timing: { ...QUICK_REGISTRY.timing, mediator: { heartbeatMs: 60_000, graceMs: 60_000 } },
        mediatorIdentities: [WATCHER],
        registrarIdentities: [WATCHER],
      },
    });
    listening = 0;
    const watched: ModuleRegistry = {
      ...registry,
      onChange(listener) {
        const forget = registry.onChange(listener);
        listening += 1;
        return () => {
          listening -= 1;
          forget();
        };
      },
    };
    server = await startRpcServer({
      listen: '127.0.0.1:0',
      bindings: [bindService(RegistryServiceService, registryHandlers(watched))],
      logger: recordingLogger().logger,
      source: 'lom',
    });
    client = createRpcClient(RegistryServiceService, { address: server.address });
  });
  afterEach(async () => {
    client.close();
    await server.stop(0);
    await registry.stop();
    await temp.remove();
  });

  const registerTools = (version: string) =>
    client.registerModule(bundleRequest(bundleOf('tools', version, 'say')));

  const refusal = async (calling: Promise<unknown>): Promise<RuneError> => {
    const error = await rejectionOf(calling);
    assert.ok(error.eps !== undefined, `${error.name}: ${error.message}`);
    return error;
  };

  it('refuses with the codes of MRS, each as an EPS message', async () => {
    await registerTools('1.0.0');
    const more = bundleOf('more', '1.0.0', 'tell');
    const needs = { technicalRequirements: { dependencies: [{ moduleName: 'base' }] } };
    const schema = { technicalRequirements: { configurationSchema: { type: 'object', properties: 3 } } };
    const odd = { ...mediatorRequest('lmm'), content: more };
    const refused = {
      [-32200]: bundleRequest(more, { registration: schema }),
      [-32201]: mediatorRequest('lmm', { address: '' }),
      [-32202]: odd,
      [-32203]: mediatorRequest('lmm', { maxConcurrentRuns: 0 }),
      [-32204]: mediatorRequest('Lmm'),
      [-32205]: mediatorRequest('tools'),
      [-32206]: bundleRequest(more, { registration: needs }),
      [-32207]: bundleRequest(bundleOf('tools', '1.0.0', 'say', 'other')),
      [-32208]: bundleRequest(bundleOf('others', '1.0.0', 'say')),
    };
    for (const [code, request] of Object.entries(refused)) {
      const { eps } = await refusal(client.registerModule(request));
      assert.equal(String(eps?.errorData?.code), code, eps?.errorData?.message);
      assert.equal(eps?.errorContext?.errorClassification, ErrorClassification.VALIDATION_ERROR);
    }
  });

  it('tells all faults of a registration at once', async () => {
    const faulty = mediatorRequest('Lmm', { address: 'here', maxConcurrentRuns: 0 }, { moduleVersion: '1' });
    const { facts } = await refusal(client.registerModule(faulty));
    assert.deepEqual(
      facts.validationErrors?.map(({ field, reason }) => `${reason} ${field.split('.').at(-1)}`),
      [
        'FIELD_MALFORMED module_name',
        'FIELD_MALFORMED module_version',
        'FIELD_MALFORMED address',
        'FIELD_OUT_OF_RANGE max_concurrent_runs',
      ],
    );
    const large = mediatorRequest('lmm', { labels: { rack: 'x'.repeat(64 * 1024) } });
    const { name, facts: about } = await refusal(client.registerModule(large));
    assert.deepEqual([name, about.field], ['FIELD_OUT_OF_RANGE', 'registration']);
  });

  it('takes a registration in the place of the one that it names, and of no other module', async () => {
    const first = await registerTools('1.0.0');
    const replacing = (name: string): RegisterModuleRequest =>
      bundleRequest(bundleOf(name, '1.1.0', 'say'), {
        registration: { registrationMetadata: { previousRegistrationId: registrationIdOf(first.module) } },
      });
    assert.equal((await refusal(client.registerModule(replacing('others')))).name, 'MODULE_NOT_REGISTERED');
    await client.registerModule(replacing('tools'));
    const { modules } = await client.listModules(ListModulesRequest.fromPartial({ ended: true }));
    const shown = modules.map(({ registration, endReason }) => [
      registration?.moduleIdentity?.moduleVersion,
      endReason,
    ]);
    assert.deepEqual(shown, [
      ['1.0.0', 'replaced'],
      ['1.1.0', ''],
    ]);
  });

  it('lets a mediator change everything by an update but what it is and where', async () => {
    const { module } = await client.registerModule(mediatorRequest('lmm'));
    const update = (serviceMetadata: object, updateMode: 1 | 2 | 3 = 2) =>
      client.updateModule(
        UpdateModuleRequest.fromPartial({
          registration: {
            registrationMetadata: { updateMode, previousRegistrationId: registrationIdOf(module) },
            capabilityDeclaration: { serviceMetadata },
          },
        }),
      );
    for (const field of [{ address: '192.0.2.9:1' }, { lmmInstanceId: 'other' }])
      assert.equal((await refusal(update(field))).name, 'FIELD_OUT_OF_RANGE');
    const metadataOf = async (answer: ReturnType<typeof update>) =>
      (await answer).module?.registration?.capabilityDeclaration?.serviceMetadata;
    const merged = await metadataOf(update({ transports: ['ssm'], maxConcurrentRuns: 20 }));
    assert.deepEqual([merged?.transports, merged?.maxConcurrentRuns], [['ssm'], 20]);
    const appended = await metadataOf(update({ transports: ['ssh'], maxConcurrentRuns: 30 }, 3));
    assert.deepEqual([appended?.transports, appended?.maxConcurrentRuns], [['ssm', 'ssh'], 20]);
    assert.equal((await refusal(update({ transports: ['ssh'] }, 1))).name, 'FIELD_MISSING');
  });

  it('lists modules in pages', async () => {
    for (const version of ['1.0.0', '1.1.0', '1.2.0']) await registerTools(version);
    const page = async (pageToken: string): Promise<{ versions: unknown[]; nextPageToken: string }> => {
      const request = ListModulesRequest.fromPartial({ pageSize: 2, pageToken });
      const { modules, nextPageToken } = await client.listModules(request);
      const versions = modules.map(({ registration }) => registration?.moduleIdentity?.moduleVersion);
      return { versions, nextPageToken };
    };
    const { versions, nextPageToken } = await page('');
    assert.deepEqual(versions, ['1.0.0', '1.1.0']);
    assert.deepEqual(await page(nextPageToken), { versions: ['1.2.0'], nextPageToken: '' });
  });

  describe('by a watcher', () => {
    /** The events of a watch, each when it is asked for. */
    const watch = (fields: Parameters<typeof WatchModulesRequest.fromPartial>[0] = {}) => {
      const stream = client.watchModules(WatchModulesRequest.fromPartial(fields));
      const next = async (): Promise<Watched | undefined> => {
        const step = await stream.next();
        return step.done === true ? undefined : step.value.event;
      };
      return { stream, next, tell: async (): Promise<string> => words(await next()) };
    };

    it('sees what there is, and then each module register, change, leave and expire, in this order', async () => {
      await registerTools('1.0.0');
      const { next, tell, stream } = watch();
      assert.deepEqual([await tell(), await tell()], ['tools@1.0.0 ACTIVE', 'shown']);

      const { module } = await client.registerModule(mediatorRequest('lmm'));
      const registrationId = registrationIdOf(module);
      assert.equal(await tell(), 'lmm@1.0.0 AVAILABLE');
      const update = UpdateModuleRequest.fromPartial({
        registration: {
          registrationMetadata: { updateMode: 2, previousRegistrationId: registrationId },
          capabilityDeclaration: { serviceMetadata: { labels: { rack: 'b4' } } },
        },
      });
      await client.updateModule(update);
      const updated = await next();
      assert.ok(updated?.$case === 'module');
      assert.deepEqual(updated.value.registration?.capabilityDeclaration?.serviceMetadata?.labels, {
        rack: 'b4',
      });
      await client.heartbeatModule(HeartbeatModuleRequest.fromPartial({ registrationId, draining: true }));
      assert.equal(await tell(), 'lmm@1.0.0 UNAVAILABLE');

      await client.deregisterModule(DeregisterModuleRequest.fromPartial({ registrationId, graceful: true }));
      assert.deepEqual(await next(), { $case: 'gone', value: registrationId });

      const expiresAt = new Date(Date.now() + 1_000);
      const brief = bundleRequest(bundleOf('brief', '1.0.0', 'hum'), {
        registration: { registrationMetadata: { expiresAt } },
      });
      await client.registerModule(brief);
      assert.equal(await tell(), 'brief@1.0.0 ACTIVE');
      // One that expires is shown as that before it goes, unless both are seen at once.
      const expired = await next();
      const gone = expired?.$case === 'module' ? await next() : expired;
      assert.equal(gone?.$case, 'gone');
      await stream.return(undefined);
    });

    it('sees only the modules that it asked for', async () => {
      await registerTools('1.0.0');
      const { tell, stream } = watch({ moduleType: ModuleType.MEDIATOR });
      assert.equal(await tell(), 'shown');
      await registerTools('1.1.0');
      await client.registerModule(mediatorRequest('lmm'));
      assert.equal(await tell(), 'lmm@1.0.0 AVAILABLE');
      await stream.return(undefined);
    });

    it('that does not read gets the newest of many changes, and none of them waits for it', async () => {
      const stopped = new AbortController();
      const events = watchModules(registry, () => true, stopped.signal);
      const next = async (): Promise<Watched | undefined> => (await events.next()).value ?? undefined;
      assert.equal(words(await next()), 'shown');
      for (let change = 1; change <= CHANGES; change += 1)
        await client.registerModule(mediatorRequest('lmm', { labels: { change: String(change) } }));
      const newest = await next();
      assert.ok(newest?.$case === 'module');
      const { labels } = newest.value.registration?.capabilityDeclaration?.serviceMetadata ?? {};
      assert.deepEqual(labels, { change: String(CHANGES) });
      // The next one is a change that comes later: nothing was queued.
      const later = next();
      await client.registerModule(mediatorRequest('late', { address: '192.0.2.2:50052' }));
      assert.equal(words(await later), 'late@1.0.0 AVAILABLE');
      stopped.abort();
      await assert.rejects(events.next());
    });

    it('that leaves is forgotten, and one that stays is told when the orchestrator stops', async () => {
      const [first, second] = [watch(), watch()];
      assert.deepEqual([await first.tell(), await second.tell()], ['shown', 'shown']);
      assert.equal(listening, 2);
      await first.stream.return(undefined);
      await eventually(() => listening === 1, { label: 'the end of the first one' });
      const told = second.next().catch((thrown: unknown) => RuneError.from(thrown).name);
      await server.stop(0);
      assert.equal(await told, 'SERVICE_SHUTTING_DOWN');
      assert.equal(listening, 0);
    });
  });
});
