import { RuneError } from '../../shared/errors.js';
import type { BashSyntax } from '../../shared/bundle/bash-syntax.js';
import type { Bundle } from '../../shared/bundle/bundle.js';
import { compareSemver } from '../../shared/bundle/semver.js';
import { toDuration } from '../../shared/duration.js';
import {
  ModuleRegistration,
  ModuleType,
  UpdateMode,
  type ModuleIdentity,
} from '../../shared/gen/rune/v1/mrs.js';
import {
  ModuleContent,
  ModuleHealth,
  ModuleState,
  type DeregisterModuleRequest,
  type HeartbeatModuleRequest,
  type HeartbeatModuleResponse,
  type RegisteredModule,
  type RegisterModuleRequest,
  type RegisterModuleResponse,
  type UpdateModuleRequest,
  type UpdateModuleResponse,
} from '../../shared/gen/rune/v1/registry.js';
import { newId } from '../../shared/ids.js';
import type { Logger } from '../../shared/logger.js';
import { checkReason } from '../../shared/reason.js';
import type { SchemaCompiler } from '../../shared/schema.js';
import type { Catalogue } from '../actions/catalogue.js';
import type { KnownMediator, MediatorEndpoint } from '../dispatch/mediators.js';
import type { ModuleStore, RecordedBeat } from '../store/module-store.js';
import { checkDependencies, missingRequired, type ModuleVersion } from './dependencies.js';
import { knownMediators, metadataOf } from './known-mediators.js';
import { lifecycleOf, pulseOf, type Lifecycle, type ModuleTiming } from './lifecycle.js';
import { mergeContent, mergeRegistration } from './merge-registration.js';
import { readContent } from './module-content.js';
import { FIRST_BEAT, nameOf, versionOf, type ModuleRecord } from './module-record.js';
import { readCandidate, type Candidate } from './read-candidate.js';
import { showConfigured, showDirectory, showRecord } from './show-module.js';

/** Settings of the registry. */
export interface ModuleRegistrySettings {
  readonly timing: ModuleTiming;
  /** Heartbeats are recorded at most so often, and those that other replicas recorded are looked for. */
  readonly recordIntervalMs: number;
  /** Registrations that have not ended. */
  readonly registeredMax: number;
  /** Who may register mediators, and who bundles, by what their connections prove. */
  readonly mediatorIdentities: readonly string[];
  readonly registrarIdentities: readonly string[];
  /** For so long a mediator that has left is waited for. */
  readonly leftMs: number;
}

/** What the registry works with. */
export interface ModuleRegistryDeps {
  readonly store: ModuleStore;
  readonly catalogue: Catalogue;
  readonly schemas: SchemaCompiler;
  readonly syntax: BashSyntax;
  /** The mediators of the configuration, and whether they stand there by default only: then those that register replace them. */
  readonly configured: readonly MediatorEndpoint[];
  readonly configuredByDefault: boolean;
  readonly settings: ModuleRegistrySettings;
  /** Hears of room at mediators, and that what is known of them has changed. */
  readonly onRoom: (count: number) => void;
  readonly onMediators: () => void;
  readonly logger: Logger;
}

type Answer<T> = Omit<T, 'header'>;

/** What is registered, as it is at every moment. `caller` is who calls, as the connection proves. */
export interface ModuleRegistry {
  register(request: RegisterModuleRequest, caller: string): Promise<Answer<RegisterModuleResponse>>;
  update(request: UpdateModuleRequest, caller: string): Promise<Answer<UpdateModuleResponse>>;
  heartbeat(request: HeartbeatModuleRequest, caller: string): Promise<Answer<HeartbeatModuleResponse>>;
  deregister(request: DeregisterModuleRequest, caller: string): Promise<RegisteredModule>;
  /** Every module, by name and version; those whose registration has ended only with `ended`. */
  list(ended: boolean): RegisteredModule[];
  mediators(): readonly KnownMediator[];
  /** Now, by the clock of the database. */
  nowMs(): number;
  /** Calls the listener after each change, until the function is called. */
  onChange(listener: () => void): () => void;
  /** Looks at what others recorded, and records what is to be. */
  refresh(): Promise<void>;
  /** Records what is to be recorded, and stops. */
  stop(): Promise<void>;
}

/** An ended registration is remembered for so long, with its content for what was accepted before its end. */
const REMEMBERED_MS = 24 * 60 * 60_000;
const FORGET_EVERY_MS = 10 * 60_000;
/** The answer about mediators is made again after this time, since some of them have fallen silent. */
const MEDIATORS_FRESH_MS = 200;
const HEALTH_REASON_CHARS_MAX = 300;
/** Somebody else may register the same at the same instant. */
const TRIES_MAX = 3;

/** Opens the registry with what is recorded. Throws STORE_UNAVAILABLE. */
export async function openModuleRegistry(deps: ModuleRegistryDeps): Promise<ModuleRegistry> {
  const { store, catalogue, settings, logger } = deps;
  const { timing } = settings;
  let records = new Map<string, ModuleRecord>();
  const bundles = new Map<string, Bundle>();
  const beats = new Map<string, RecordedBeat>();
  const listeners = new Set<() => void>();
  let offsetMs = 0;
  let forgotAtMs = -Infinity;
  let served = '';
  let known: readonly KnownMediator[] = [];
  let knownAtMs = -Infinity;
  let last: Promise<unknown> = Promise.resolve();
  let refreshing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const nowMs = (): number => Date.now() + offsetMs;

  /** One after the other, so that nothing is decided on what another is about to change. */
  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const turn = last.then(task);
    last = turn.catch(() => undefined);
    return turn;
  };

  const isLive = ({ endedMs, expiresMs }: ModuleRecord): boolean => endedMs === 0 && nowMs() < expiresMs;
  const live = (): ModuleRecord[] => [...records.values()].filter(isLive);

  /** Modules that others may depend on. */
  const versions = (): ModuleVersion[] => [
    ...catalogue.directories.map(({ head }) => ({ name: head.moduleName, version: head.moduleVersion })),
    ...live().map((record) => ({ name: nameOf(record), version: versionOf(record) })),
  ];

  const isNewest = (name: string, version: string): boolean =>
    versions().every((other) => other.name !== name || compareSemver(other.version, version) <= 0);

  const lifecycle = (record: ModuleRecord): Lifecycle => {
    const metadata = metadataOf(record);
    const isServing =
      metadata === undefined
        ? isNewest(nameOf(record), versionOf(record))
        : (record.beat.load?.runsActive ?? 0) > 0;
    const { dependencies = [] } = record.registration.technicalRequirements ?? {};
    const missing = dependencies.length === 0 ? [] : missingRequired(record.registration, versions());
    return lifecycleOf(record, nowMs(), timing, { isServing, missing });
  };

  const configured = (): readonly MediatorEndpoint[] => {
    const isReplaced = deps.configuredByDefault && live().some((record) => metadataOf(record) !== undefined);
    return isReplaced ? [] : deps.configured;
  };

  const show = (record: ModuleRecord): RegisteredModule => showRecord(record, lifecycle(record));

  /** Lets what has changed take effect. */
  const changed = (): void => {
    const serving = live().filter((record) => {
      const { state } = lifecycle(record);
      return (
        bundles.has(record.registrationId) &&
        (state === ModuleState.ACTIVE || state === ModuleState.AVAILABLE)
      );
    });
    const ids = serving.map(({ registrationId }) => registrationId).join();
    if (ids !== served) {
      served = ids;
      const left = catalogue.setRegistered(
        serving.flatMap(({ registrationId }) => bundles.get(registrationId) ?? []),
      );
      for (const { head } of left)
        logger.error('a registered bundle cannot serve beside the others', {
          module: `${head.moduleName}@${head.moduleVersion}`,
        });
    }
    knownAtMs = -Infinity;
    deps.onMediators();
    for (const listener of listeners) listener();
  };

  const loadBundle = async (record: ModuleRecord): Promise<void> => {
    const { registrationId } = record;
    if (metadataOf(record) !== undefined || bundles.has(registrationId)) return;
    try {
      const content = await store.content(registrationId);
      if (content === undefined) return;
      const bundle = await readContent(ModuleContent.decode(content), nameOf(record), deps);
      bundles.set(registrationId, bundle);
      if (!isLive(record)) catalogue.retire(bundle);
    } catch (thrown) {
      logger.error('a registered bundle cannot be loaded', {
        module: `${nameOf(record)}@${versionOf(record)}`,
        err: RuneError.from(thrown),
      });
    }
  };

  const recordBeats = async (): Promise<void> => {
    const waiting = [...beats.values()];
    beats.clear();
    await store.beat(waiting);
  };

  const forgetOld = async (): Promise<void> => {
    if (nowMs() - forgotAtMs < FORGET_EVERY_MS) return;
    forgotAtMs = nowMs();
    await store.forget(nowMs() - REMEMBERED_MS);
  };

  const look = async (): Promise<void> => {
    await recordBeats();
    const found = await store.list();
    offsetMs = found.nowMs - Date.now();
    const next = new Map<string, ModuleRecord>();
    for (const record of found.records) {
      const own = records.get(record.registrationId);
      const isNewer = own !== undefined && own.heartbeatMs > record.heartbeatMs && record.endedMs === 0;
      const { heartbeatMs, expiresMs, beat } = isNewer ? own : record;
      next.set(record.registrationId, { ...record, heartbeatMs, expiresMs, beat });
    }
    records = next;
    for (const id of bundles.keys()) if (!records.has(id)) bundles.delete(id);
    const expired = [...records.values()].filter(
      ({ endedMs, expiresMs }) => endedMs === 0 && nowMs() >= expiresMs,
    );
    if (expired.length > 0) {
      await store.end(
        expired.map(({ registrationId }) => registrationId),
        'expired',
      );
    }
    for (const record of records.values()) await loadBundle(record);
    await forgetOld();
    changed();
  };

  const refresh = (): Promise<void> => {
    refreshing ??= inTurn(look).finally(() => (refreshing = undefined));
    return refreshing;
  };

  const again = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      refresh()
        .catch((thrown: unknown) =>
          logger.error('the registry cannot be compared with what is recorded', {
            err: RuneError.from(thrown),
          }),
        )
        .finally(again);
    }, settings.recordIntervalMs);
  };

  const mayRegister = (type: ModuleType, caller: string): boolean =>
    (type === ModuleType.MEDIATOR ? settings.mediatorIdentities : settings.registrarIdentities).includes(
      caller,
    );

  const requireTrust = (type: ModuleType, caller: string): void => {
    if (mayRegister(type, caller)) return;
    const isMediator = type === ModuleType.MEDIATOR;
    const setting = isMediator ? 'modules.mediator_identities' : 'modules.registrar_identities';
    const what = isMediator ? 'mediators' : 'plugin bundles';
    throw new RuneError(
      'CALLER_NOT_ALLOWED',
      `"${caller}" may not register ${what}: ${setting} names who may.`,
    );
  };

  /** The registration of this id, for whoever registered it, or for one who may register bundles. */
  const registered = async (
    registrationId: string,
    caller: string,
    orRegistrar = false,
  ): Promise<ModuleRecord> => {
    if (registrationId === '')
      throw new RuneError('FIELD_MISSING', 'The request names no registration.', {
        field: 'registration_id',
      });
    if (!records.has(registrationId)) await refresh();
    const record = records.get(registrationId);
    if (record === undefined)
      throw new RuneError('MODULE_NOT_REGISTERED', 'There is no such registration.', {
        field: 'registration_id',
        originalValue: registrationId,
      });
    const isOwn = record.registeredBy === caller;
    if (!isOwn && !(orRegistrar && settings.registrarIdentities.includes(caller)))
      throw new RuneError('CALLER_NOT_ALLOWED', 'Somebody else has registered this module.');
    return record;
  };

  const requireLive = (record: ModuleRecord): ModuleRecord => {
    if (isLive(record)) return record;
    const why = record.endReason === '' ? '' : `: ${record.endReason}`;
    throw new RuneError('MODULE_NOT_REGISTERED', `The registration has ended${why}.`);
  };

  /** The registration with its times as they are recorded. */
  const timed = (
    registration: ModuleRegistration,
  ): Pick<ModuleRecord, 'registration' | 'expiresMs' | 'renews'> => {
    const expiresAt = registration.registrationMetadata?.expiresAt;
    const identity = registration.moduleIdentity;
    return {
      registration: {
        ...registration,
        moduleIdentity: identity && { ...identity, registrationTimestamp: new Date(nowMs()) },
      },
      expiresMs: expiresAt?.getTime() ?? nowMs() + timing.lifeMs,
      renews: expiresAt === undefined,
    };
  };

  const answer = (
    record: ModuleRecord,
    more: Pick<RegisterModuleResponse, 'warnings' | 'existing'>,
  ): Answer<RegisterModuleResponse> => {
    const pulse = pulseOf(record, timing);
    const { provides = [] } = record.registration.capabilityDeclaration ?? {};
    const metadata = metadataOf(record);
    return {
      module: show(record),
      routingTags:
        metadata === undefined
          ? provides.map(({ action }) => `action:${action}`)
          : [`zone:${metadata.zone}`, ...metadata.transports.map((transport) => `transport:${transport}`)],
      heartbeatInterval: pulse && toDuration(pulse.heartbeatMs),
      ...more,
    };
  };

  const candidateOf = (
    registration: ModuleRegistration,
    content: ModuleContent | undefined,
    caller: string,
  ): Promise<Candidate> => readCandidate({ registration, content, caller }, deps, nowMs());

  /** Registrations that end when the candidate is registered, and why. */
  const supersededBy = (candidate: Candidate, previousId: string): { ids: string[]; reason: string } => {
    const address = metadataOf(candidate)?.address;
    const same = live().filter((record) => metadataOf(record)?.address === address && address !== undefined);
    if (previousId === '')
      return {
        ids: same.map(({ registrationId }) => registrationId),
        reason: 'another process has registered with its address',
      };
    const previous = records.get(previousId);
    if (previous === undefined || nameOf(previous) !== nameOf(candidate))
      throw new RuneError('MODULE_NOT_REGISTERED', 'The previous registration is not one of this module.', {
        field: 'registration_metadata.previous_registration_id',
      });
    if (previous.registeredBy !== candidate.caller)
      throw new RuneError('CALLER_NOT_ALLOWED', 'Somebody else has registered this module.');
    return { ids: [...same.map(({ registrationId }) => registrationId), previousId], reason: 'replaced' };
  };

  /** The live registration of the same module, if that is what the candidate is. Throws where it clashes with another one. */
  const existingOf = (candidate: Candidate): ModuleRecord | undefined => {
    const { registration, digest } = candidate;
    const [name, version] = [nameOf(candidate), versionOf(candidate)];
    const type = registration.moduleIdentity?.moduleType;
    const namesakes = live().filter((record) => nameOf(record) === name);
    const isDirectory = catalogue.directories.some(({ head }) => head.moduleName === name);
    const other = namesakes.find((record) => record.registration.moduleIdentity?.moduleType !== type);
    const instance = metadataOf(candidate)?.lmmInstanceId;
    const isTaken =
      instance === undefined
        ? other !== undefined
        : isDirectory || namesakes.some((record) => metadataOf(record)?.lmmInstanceId !== instance);
    if (isTaken)
      throw new RuneError('MODULE_NAME_TAKEN', `Another module is registered as ${name}.`, {
        field: 'module_identity.module_name',
        originalValue: name,
      });
    if (instance !== undefined) return namesakes[0];
    const same = namesakes.find((record) => compareSemver(versionOf(record), version) === 0);
    if (same === undefined || same.contentDigest === digest) return same;
    throw new RuneError('MODULE_VERSION_CONFLICT', `${name}@${version} is registered with other content.`, {
      field: 'module_identity.module_version',
      originalValue: version,
    });
  };

  const changeRecord = async (
    record: ModuleRecord,
    fields: Pick<ModuleRecord, 'registration' | 'expiresMs' | 'renews'>,
  ): Promise<ModuleRecord> => {
    const next = { ...record, ...fields, heartbeatMs: Math.max(nowMs(), record.heartbeatMs) };
    if (!(await store.change(next)))
      throw new RuneError('MODULE_NOT_REGISTERED', 'The registration has ended meanwhile.');
    records.set(record.registrationId, next);
    beats.set(record.registrationId, next);
    await recordBeats();
    changed();
    return next;
  };

  const addCandidate = async (candidate: Candidate): Promise<Answer<RegisterModuleResponse>> => {
    const { registration, content, bundle, digest, caller } = candidate;
    const previousId = registration.registrationMetadata?.previousRegistrationId ?? '';
    for (let tries = 1; ; tries += 1) {
      const existing = existingOf(candidate);
      const warnings = checkDependencies(
        registration,
        versions().filter(({ name }) => name !== nameOf(candidate)),
      );
      if (existing !== undefined) {
        if (existing.registeredBy !== caller)
          throw new RuneError('CALLER_NOT_ALLOWED', 'Somebody else has registered this module.');
        const next = await changeRecord(existing, timed(registration));
        return answer(next, { warnings, existing: true });
      }
      const superseded = supersededBy(candidate, previousId);
      const staying = live().filter(({ registrationId }) => !superseded.ids.includes(registrationId));
      if (staying.length >= settings.registeredMax)
        throw new RuneError('TOO_MANY_MODULES', `${settings.registeredMax} modules are registered already.`);
      if (bundle !== undefined)
        catalogue.checkBeside(
          bundle,
          staying.flatMap(({ registrationId }) => bundles.get(registrationId) ?? []),
        );
      const record: ModuleRecord = {
        registrationId: newId(),
        ...timed(registration),
        contentDigest: digest,
        registeredBy: caller,
        beat: FIRST_BEAT,
        registeredMs: nowMs(),
        heartbeatMs: nowMs(),
        endedMs: 0,
        endReason: '',
      };
      const bytes = content && Buffer.from(ModuleContent.encode(content).finish());
      const ended = { registrationIds: superseded.ids, reason: superseded.reason };
      if (await store.add(record, bytes, ended)) {
        for (const id of superseded.ids) {
          const old = records.get(id);
          if (old !== undefined) records.set(id, { ...old, endedMs: nowMs(), endReason: superseded.reason });
        }
        records.set(record.registrationId, record);
        if (bundle !== undefined) bundles.set(record.registrationId, bundle);
        changed();
        const { registrationId } = record;
        const module = `${nameOf(record)}@${versionOf(record)}`;
        logger.info('module registered', { module, registration_id: registrationId, by: caller });
        return answer(record, { warnings, existing: false });
      }
      if (tries >= TRIES_MAX)
        throw new RuneError('MODULE_VERSION_CONFLICT', 'Another caller registers the same module just now.');
      await look();
    }
  };

  await look();
  again();

  return {
    async register({ registration, content }, caller) {
      const sent = registration ?? ModuleRegistration.create();
      const type = sent.moduleIdentity?.moduleType ?? ModuleType.UNSPECIFIED;
      requireTrust(type, caller);
      const candidate = await candidateOf(sent, content, caller);
      return inTurn(() => addCandidate(candidate));
    },

    async update({ registration, content }, caller) {
      const sent = registration ?? ModuleRegistration.create();
      const previousId = sent.registrationMetadata?.previousRegistrationId ?? '';
      const before = requireLive(await registered(previousId, caller));
      requireTrust(before.registration.moduleIdentity?.moduleType ?? ModuleType.UNSPECIFIED, caller);
      const mode = sent.registrationMetadata?.updateMode ?? UpdateMode.UNSPECIFIED;
      const next = mergeRegistration(before.registration, sent);
      requireSameModule(before.registration.moduleIdentity, next.moduleIdentity);
      if (metadataOf(before) !== undefined) {
        const candidate = await candidateOf(next, content, caller);
        if (metadataOf(candidate)?.lmmInstanceId !== metadataOf(before)?.lmmInstanceId)
          throw new RuneError('FIELD_OUT_OF_RANGE', 'An update is by the process that registered.', {
            field: 'capability_declaration.service_metadata.lmm_instance_id',
          });
        const warnings = checkDependencies(candidate.registration, versions());
        return inTurn(async () => {
          const changedRecord = await changeRecord(before, timed(candidate.registration));
          return { module: show(changedRecord), warnings };
        });
      }
      const recorded = await store.content(previousId);
      const oldContent = ModuleContent.decode(recorded ?? Buffer.alloc(0));
      const newContent = mergeContent(oldContent, content ?? ModuleContent.create(), mode);
      const files = newContent.files.length === 0 ? oldContent : newContent;
      // The actions are those of the files, whatever was said of them before.
      const identity = next.moduleIdentity && { ...next.moduleIdentity, moduleVersion: '', description: '' };
      const { moduleVersion = '', description = '' } = sent.moduleIdentity ?? {};
      const candidate = await candidateOf(
        {
          ...next,
          moduleIdentity: identity && { ...identity, moduleVersion, description },
          capabilityDeclaration: sent.capabilityDeclaration,
        },
        files,
        caller,
      );
      if (candidate.digest !== before.contentDigest && versionOf(candidate) === versionOf(before)) {
        const module = `${nameOf(before)}@${versionOf(before)}`;
        throw new RuneError('MODULE_VERSION_CONFLICT', `${module} is registered with other content.`, {
          field: 'module_identity.module_version',
        });
      }
      const { module, warnings } = await inTurn(() => addCandidate(candidate));
      return { module, warnings };
    },

    async heartbeat(request, caller) {
      const { registrationId, healthStatus, healthReason, load, lastActivity, draining } = request;
      if (!Object.values<number>(ModuleHealth).includes(healthStatus))
        throw new RuneError('FIELD_OUT_OF_RANGE', 'There is no such health.', { field: 'health_status' });
      if (healthReason.length > HEALTH_REASON_CHARS_MAX)
        throw new RuneError('FIELD_OUT_OF_RANGE', 'The reason is too long.', {
          field: 'health_reason',
          expectedFormat: `at most ${HEALTH_REASON_CHARS_MAX} characters`,
        });
      const before = requireLive(await registered(registrationId, caller));
      const health = healthStatus === ModuleHealth.UNSPECIFIED ? ModuleHealth.HEALTHY : healthStatus;
      const record: ModuleRecord = {
        ...before,
        beat: { health, healthReason, load, lastActivity, draining },
        heartbeatMs: Math.max(nowMs(), before.heartbeatMs + 1),
        expiresMs: before.renews ? nowMs() + timing.lifeMs : before.expiresMs,
      };
      const wasWell = lifecycle(before).state;
      records.set(registrationId, record);
      beats.set(registrationId, record);
      knownAtMs = -Infinity;
      const { state } = lifecycle(record);
      if (state !== wasWell) changed();
      else deps.onRoom(Math.max(0, (load?.runsMax ?? 0) - (load?.runsActive ?? 0)));
      // Others are to hear of it soon, not only when it is due.
      if (before.beat.draining !== draining || before.beat.health !== health) await recordBeats();
      const pulse = pulseOf(record, timing);
      return {
        state,
        heartbeatInterval: pulse && toDuration(pulse.heartbeatMs),
        expiresAt: new Date(record.expiresMs),
      };
    },

    async deregister({ registrationId, reason, graceful }, caller) {
      checkReason(reason);
      const record = await registered(registrationId, caller, true);
      return inTurn(async () => {
        if (record.endedMs > 0) return show(record);
        const isDone = graceful && metadataOf(record) !== undefined;
        const how = isDone ? 'left when it had finished' : 'deregistered';
        const endReason = reason === '' ? how : `${how}: ${reason}`;
        await store.end([registrationId], endReason);
        const ended = { ...record, endedMs: nowMs(), endReason };
        records.set(registrationId, ended);
        beats.delete(registrationId);
        changed();
        const module = `${nameOf(record)}@${versionOf(record)}`;
        logger.info('module deregistered', { module, registration_id: registrationId, by: caller, reason });
        return show(ended);
      });
    },

    list(ended) {
      const shown = [...records.values()].filter(({ endedMs }) => ended || endedMs === 0).map(show);
      const addresses = new Set(live().map((record) => metadataOf(record)?.address));
      const directories = catalogue.directories.map((bundle) =>
        showDirectory(bundle, isNewest(bundle.head.moduleName, bundle.head.moduleVersion)),
      );
      const endpoints = configured()
        .filter(({ address }) => !addresses.has(address))
        .map(({ address, zone }) => showConfigured(address, zone));
      return [...shown, ...directories, ...endpoints].toSorted((a, b) => (listKey(a) < listKey(b) ? -1 : 1));
    },

    mediators() {
      if (Math.abs(nowMs() - knownAtMs) > MEDIATORS_FRESH_MS) {
        knownAtMs = nowMs();
        known = knownMediators([...records.values()], configured(), knownAtMs, {
          timing,
          leftMs: settings.leftMs,
        });
      }
      return known;
    },

    nowMs,

    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    refresh,

    async stop() {
      stopped = true;
      clearTimeout(timer);
      await last;
      await recordBeats().catch((thrown: unknown) =>
        logger.warn('the last heartbeats could not be recorded', { err: RuneError.from(thrown) }),
      );
    },
  };
}

/** By what modules are listed, and where a page goes on. */
export function listKey({ registration }: RegisteredModule): string {
  const { moduleName = '', moduleVersion = '' } = registration?.moduleIdentity ?? {};
  return `${moduleName}\n${moduleVersion}\n${registration?.registrationMetadata?.registrationId}`;
}

function requireSameModule(before: ModuleIdentity | undefined, next: ModuleIdentity | undefined): void {
  if (before?.moduleName === next?.moduleName && before?.moduleType === next?.moduleType) return;
  throw new RuneError('FIELD_OUT_OF_RANGE', 'An update changes neither the name nor the type of a module.', {
    field: 'module_identity',
    expectedFormat: before?.moduleName ?? '',
  });
}
