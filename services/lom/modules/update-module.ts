import { RuneError } from '../../shared/errors.js';
import {
  ModuleRegistration,
  ModuleType,
  UpdateMode,
  type ModuleIdentity,
} from '../../shared/gen/rune/v1/mrs.js';
import {
  ModuleContent,
  type UpdateModuleRequest,
  type UpdateModuleResponse,
} from '../../shared/gen/rune/v1/registry.js';
import { changeRegistration } from './change-registration.js';
import { checkDependencies } from './dependencies.js';
import { metadataOf } from './known-mediators.js';
import type { LiveModules } from './live-modules.js';
import { mergeContent, mergeRegistration } from './merge-registration.js';
import { titleOf, versionOf, type ModuleRecord } from '../store/module-record.js';
import { requireOwnLive, requireTrust } from './module-rights.js';
import { readCandidate } from './read-candidate.js';
import { registerModule } from './register-module.js';
import type { ModuleRegistryDeps } from './registry-deps.js';

type Answer = Omit<UpdateModuleResponse, 'header'>;

/** Makes of a registration what the request says; a bundle with other files becomes another version. Throws the refusals of MRS. */
export async function updateModule(
  modules: LiveModules,
  deps: ModuleRegistryDeps,
  { registration, content }: UpdateModuleRequest,
  caller: string,
): Promise<Answer> {
  const sent = registration ?? ModuleRegistration.create();
  const previousId = sent.registrationMetadata?.previousRegistrationId ?? '';
  const before = await requireOwnLive(modules, previousId, caller);
  const type = before.registration.moduleIdentity?.moduleType ?? ModuleType.UNSPECIFIED;
  requireTrust(type, caller, deps.settings);
  const next = mergeRegistration(before.registration, sent);
  requireSameModule(before.registration.moduleIdentity, next.moduleIdentity);
  if (metadataOf(before) !== undefined)
    return updateMediator(modules, deps, before, { registration: next, content, caller });
  return updateBundle(modules, deps, before, { sent, next, content, caller });
}

async function updateMediator(
  modules: LiveModules,
  deps: ModuleRegistryDeps,
  before: ModuleRecord,
  request: Parameters<typeof readCandidate>[0],
): Promise<Answer> {
  const candidate = await readCandidate(request, deps, modules.nowMs());
  const metadata = 'capability_declaration.service_metadata';
  if (metadataOf(candidate)?.lmmInstanceId !== metadataOf(before)?.lmmInstanceId)
    throw new RuneError('FIELD_OUT_OF_RANGE', 'An update is by the process that registered.', {
      field: `${metadata}.lmm_instance_id`,
    });
  // Another one may be there: who takes its place is decided when a process registers.
  if (metadataOf(candidate)?.address !== metadataOf(before)?.address)
    throw new RuneError('FIELD_OUT_OF_RANGE', 'A process that listens elsewhere registers anew.', {
      field: `${metadata}.address`,
      expectedFormat: metadataOf(before)?.address ?? '',
    });
  const warnings = checkDependencies(candidate.registration, modules.versions());
  return modules.inTurn(async () => {
    const changed = await changeRegistration(modules, deps, before, candidate.registration);
    return { module: modules.show(changed), warnings };
  });
}

async function updateBundle(
  modules: LiveModules,
  deps: ModuleRegistryDeps,
  before: ModuleRecord,
  {
    sent,
    next,
    content,
    caller,
  }: {
    readonly sent: ModuleRegistration;
    readonly next: ModuleRegistration;
    readonly content: ModuleContent | undefined;
    readonly caller: string;
  },
): Promise<Answer> {
  const mode = sent.registrationMetadata?.updateMode ?? UpdateMode.UNSPECIFIED;
  const recorded = await deps.store.content(before.registrationId);
  const oldContent = ModuleContent.decode(recorded ?? Buffer.alloc(0));
  const newContent = mergeContent(oldContent, content ?? ModuleContent.create(), mode);
  const files = newContent.files.length === 0 ? oldContent : newContent;
  // The actions are those of the files, whatever was said of them before.
  const identity = next.moduleIdentity && { ...next.moduleIdentity, moduleVersion: '', description: '' };
  const { moduleVersion = '', description = '' } = sent.moduleIdentity ?? {};
  const registration = {
    ...next,
    moduleIdentity: identity && { ...identity, moduleVersion, description },
    capabilityDeclaration: sent.capabilityDeclaration,
  };
  const candidate = await readCandidate({ registration, content: files, caller }, deps, modules.nowMs());
  if (candidate.digest !== before.contentDigest && versionOf(candidate) === versionOf(before))
    throw new RuneError('MODULE_VERSION_CONFLICT', `${titleOf(before)} is registered with other content.`, {
      field: 'module_identity.module_version',
    });
  const { module, warnings } = await modules.inTurn(() => registerModule(modules, deps, candidate));
  return { module, warnings };
}

function requireSameModule(before: ModuleIdentity | undefined, next: ModuleIdentity | undefined): void {
  if (before?.moduleName === next?.moduleName && before?.moduleType === next?.moduleType) return;
  throw new RuneError('FIELD_OUT_OF_RANGE', 'An update changes neither the name nor the type of a module.', {
    field: 'module_identity',
    expectedFormat: before?.moduleName ?? '',
  });
}
