import { compareSemver } from '../../shared/bundle/semver.js';
import { RuneError } from '../../shared/errors.js';
import { ModuleState, type RegisteredModule } from '../../shared/gen/rune/v1/registry.js';
import type { KnownMediator, MediatorEndpoint } from '../mediators/mediators.js';
import type { RecordedBeat } from '../store/module-store.js';
import { missingRequired, type ModuleVersion } from './dependencies.js';
import { knownMediators, metadataOf } from './known-mediators.js';
import { lifecycleOf, type Lifecycle } from './lifecycle.js';
import { nameOf, versionOf, type ModuleRecord } from '../store/module-record.js';
import { createRegisteredBundles, type RegisteredBundles } from './registered-bundles.js';
import type { ModuleRegistryDeps } from './registry-deps.js';
import { listKey, showConfigured, showDirectory, showRecord } from './show-module.js';

/** What is registered as this orchestrator knows it, kept equal with what is recorded. */
export interface LiveModules {
  readonly bundles: RegisteredBundles;
  /** Now, by the clock of the database. */
  nowMs(): number;
  /** One after the other, so that nothing is decided on what another is about to change. */
  inTurn<T>(task: () => Promise<T>): Promise<T>;
  find(registrationId: string): ModuleRecord | undefined;
  isLive(record: ModuleRecord): boolean;
  /** Registrations that are not over. */
  live(): ModuleRecord[];
  /** Modules that others may depend on. */
  versions(): ModuleVersion[];
  lifecycle(record: ModuleRecord): Lifecycle;
  show(record: ModuleRecord): RegisteredModule;
  /** Every module, by name and version; those whose registration has ended only with `ended`. */
  list(ended: boolean): RegisteredModule[];
  mediators(): readonly KnownMediator[];
  /** Takes a registration as it is recorded by now. */
  put(record: ModuleRecord): void;
  /** Takes what a module says of itself; it is recorded soon. */
  beat(record: ModuleRecord): void;
  /** Takes the end of a registration that has ended for all. */
  end(record: ModuleRecord, endReason: string): ModuleRecord;
  /** Lets what has changed take effect. */
  changed(): void;
  /** Records the heartbeats that are not recorded yet. */
  recordBeats(): Promise<void>;
  /** Looks at what others recorded, and records what is to be; for a task that has its turn. */
  look(): Promise<void>;
  /** The same for all others. */
  refresh(): Promise<void>;
  /** Calls the listener after each change, until the function is called. */
  onChange(listener: () => void): () => void;
  /** Records what is to be recorded, and stops. */
  stop(): Promise<void>;
}

/** An ended registration is remembered for so long, with its content for what was accepted before its end. */
const REMEMBERED_MS = 24 * 60 * 60_000;
/** Of mediators only so many that have ended: nothing needs them, and each process that starts again leaves one. */
const ENDED_MEDIATORS_MAX = 100;
const FORGET_EVERY_MS = 10 * 60_000;
/** The answer about mediators is made again after this time, since some of them have fallen silent. */
const MEDIATORS_FRESH_MS = 200;

/** Opens it with what is recorded. Throws STORE_UNAVAILABLE. */
export async function openLiveModules(deps: ModuleRegistryDeps): Promise<LiveModules> {
  const { store, catalogue, settings, logger } = deps;
  const { timing } = settings;
  const bundles = createRegisteredBundles(deps);
  let records = new Map<string, ModuleRecord>();
  const beats = new Map<string, RecordedBeat>();
  const listeners = new Set<() => void>();
  let offsetMs = 0;
  let forgotAtMs = -Infinity;
  let known: readonly KnownMediator[] = [];
  let knownAtMs = -Infinity;
  let last: Promise<unknown> = Promise.resolve();
  let refreshing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const nowMs = (): number => Date.now() + offsetMs;

  const inTurn = <T>(task: () => Promise<T>): Promise<T> => {
    const turn = last.then(task);
    last = turn.catch(() => undefined);
    return turn;
  };

  const isLive = ({ endedMs, expiresMs }: ModuleRecord): boolean => endedMs === 0 && nowMs() < expiresMs;
  const live = (): ModuleRecord[] => [...records.values()].filter(isLive);

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

  const changed = (): void => {
    const serving = live().filter((record) => {
      const { state } = lifecycle(record);
      return bundles.has(record) && (state === ModuleState.ACTIVE || state === ModuleState.AVAILABLE);
    });
    bundles.serve(serving);
    knownAtMs = -Infinity;
    deps.onMediators();
    for (const listener of listeners) listener();
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

  const forgetMediators = async (): Promise<void> => {
    const ended = [...records.values()].filter(
      (record) => record.endedMs > 0 && metadataOf(record) !== undefined,
    );
    const oldest = ended.map(({ endedMs }) => endedMs).toSorted((a, b) => b - a)[ENDED_MEDIATORS_MAX - 1];
    if (oldest === undefined || ended.length === ENDED_MEDIATORS_MAX) return;
    await store.forgetMediators(oldest);
    for (const { registrationId, endedMs } of ended) if (endedMs < oldest) records.delete(registrationId);
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
    bundles.keepOnly(records);
    const expired = [...records.values()].filter(
      ({ endedMs, expiresMs }) => endedMs === 0 && nowMs() >= expiresMs,
    );
    if (expired.length > 0) {
      await store.end(
        expired.map(({ registrationId }) => registrationId),
        'expired',
      );
    }
    for (const record of records.values()) await bundles.load(record, isLive(record));
    await forgetOld();
    await forgetMediators();
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

  await look();
  again();

  return {
    bundles,
    nowMs,
    inTurn,
    find: (registrationId) => records.get(registrationId),
    isLive,
    live,
    versions,
    lifecycle,
    show,

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

    put: (record) => void records.set(record.registrationId, record),

    beat(record) {
      records.set(record.registrationId, record);
      beats.set(record.registrationId, record);
      knownAtMs = -Infinity;
    },

    end(record, endReason) {
      const ended = { ...record, endedMs: nowMs(), endReason };
      records.set(record.registrationId, ended);
      beats.delete(record.registrationId);
      return ended;
    },

    changed,
    recordBeats,
    look,
    refresh,

    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

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
