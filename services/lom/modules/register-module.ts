import { compareSemver } from '../../shared/bundle/semver.js';
import { toDuration } from '../../shared/messages/duration.js';
import { RuneError } from '../../shared/errors.js';
import { ModuleContent, type RegisterModuleResponse } from '../../shared/gen/rune/v1/registry.js';
import { newId } from '../../shared/messages/ids.js';
import { changeRegistration, timedRegistration } from './change-registration.js';
import { checkDependencies } from './dependencies.js';
import { metadataOf } from './known-mediators.js';
import { pulseOf } from './lifecycle.js';
import type { LiveModules } from './live-modules.js';
import { FIRST_BEAT, nameOf, titleOf, versionOf, type ModuleRecord } from '../store/module-record.js';
import { notOwn } from './module-rights.js';
import type { Candidate } from './read-candidate.js';
import type { ModuleRegistryDeps } from './registry-deps.js';

type Answer = Omit<RegisterModuleResponse, 'header'>;

/** Registrations that end with another one, and why. */
interface Superseded {
  readonly records: readonly ModuleRecord[];
  readonly reason: string;
}

/** Somebody else may register the same at the same instant. */
const TRIES_MAX = 3;

/**
 * Registers what was read, or lets the live registration of the same module go on with it; for a task that has its turn. Throws the
 * refusals of MRS that depend on what else is registered.
 */
export async function registerModule(
  modules: LiveModules,
  deps: ModuleRegistryDeps,
  candidate: Candidate,
): Promise<Answer> {
  const { registration, caller } = candidate;
  for (let tries = 1; ; tries += 1) {
    const existing = existingOf(modules, deps, candidate);
    const others = modules.versions().filter(({ name }) => name !== nameOf(candidate));
    const warnings = checkDependencies(registration, others);
    if (existing !== undefined) {
      if (existing.registeredBy !== caller) throw notOwn();
      const next = await changeRegistration(modules, deps, existing, registration);
      return answer(modules, deps, next, { warnings, existing: true });
    }
    const record = await addRegistration(modules, deps, candidate);
    if (record !== undefined) return answer(modules, deps, record, { warnings, existing: false });
    if (tries >= TRIES_MAX)
      throw new RuneError('MODULE_VERSION_CONFLICT', 'Another caller registers the same module just now.');
    await modules.look();
  }
}

/** The live registration of the same module, if that is what the candidate is. Throws where it clashes with another one. */
function existingOf(
  modules: LiveModules,
  { catalogue }: ModuleRegistryDeps,
  candidate: Candidate,
): ModuleRecord | undefined {
  const { registration, digest } = candidate;
  const [name, version] = [nameOf(candidate), versionOf(candidate)];
  const type = registration.moduleIdentity?.moduleType;
  const namesakes = modules.live().filter((record) => nameOf(record) === name);
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
}

/** Registrations that end when the candidate is registered. Throws where it may not end what it says it replaces. */
function supersededBy(modules: LiveModules, candidate: Candidate): Superseded {
  const previousId = candidate.registration.registrationMetadata?.previousRegistrationId ?? '';
  const address = metadataOf(candidate)?.address;
  const same = modules
    .live()
    .filter((record) => metadataOf(record)?.address === address && address !== undefined);
  if (previousId === '') return { records: same, reason: 'another process has registered with its address' };
  const previous = modules.find(previousId);
  if (previous === undefined || nameOf(previous) !== nameOf(candidate))
    throw new RuneError('MODULE_NOT_REGISTERED', 'The previous registration is not one of this module.', {
      field: 'registration_metadata.previous_registration_id',
    });
  if (previous.registeredBy !== candidate.caller) throw notOwn();
  return { records: [...same, previous], reason: 'replaced' };
}

/** Records the candidate as a new registration; undefined if somebody else has just registered the same module. */
async function addRegistration(
  modules: LiveModules,
  { store, catalogue, settings, logger }: ModuleRegistryDeps,
  candidate: Candidate,
): Promise<ModuleRecord | undefined> {
  const { registration, content, bundle, digest, caller } = candidate;
  const superseded = supersededBy(modules, candidate);
  const ending = new Set(superseded.records.map(({ registrationId }) => registrationId));
  const staying = modules.live().filter(({ registrationId }) => !ending.has(registrationId));
  if (staying.length >= settings.registeredMax)
    throw new RuneError('TOO_MANY_MODULES', `${settings.registeredMax} modules are registered already.`);
  if (bundle !== undefined) catalogue.checkBeside(bundle, modules.bundles.of(staying));
  const nowMs = modules.nowMs();
  const record: ModuleRecord = {
    registrationId: newId(),
    ...timedRegistration(registration, nowMs, settings.timing.lifeMs),
    contentDigest: digest,
    registeredBy: caller,
    beat: FIRST_BEAT,
    registeredMs: nowMs,
    heartbeatMs: nowMs,
    endedMs: 0,
    endReason: '',
  };
  const bytes = content && Buffer.from(ModuleContent.encode(content).finish());
  const ended = { registrationIds: [...ending], reason: superseded.reason };
  if (!(await store.add(record, bytes, ended))) return undefined;
  for (const id of ending) {
    const old = modules.find(id);
    if (old !== undefined) modules.end(old, superseded.reason);
  }
  modules.put(record);
  if (bundle !== undefined) modules.bundles.add(record, bundle);
  modules.changed();
  const { registrationId } = record;
  logger.info('module registered', { module: titleOf(record), registration_id: registrationId, by: caller });
  return record;
}

function answer(
  modules: LiveModules,
  { settings }: ModuleRegistryDeps,
  record: ModuleRecord,
  more: Pick<Answer, 'warnings' | 'existing'>,
): Answer {
  const pulse = pulseOf(record, settings.timing);
  const { provides = [] } = record.registration.capabilityDeclaration ?? {};
  const metadata = metadataOf(record);
  return {
    module: modules.show(record),
    routingTags:
      metadata === undefined
        ? provides.map(({ action }) => `action:${action}`)
        : [`zone:${metadata.zone}`, ...metadata.transports.map((transport) => `transport:${transport}`)],
    heartbeatInterval: pulse && toDuration(pulse.heartbeatMs),
    ...more,
  };
}
