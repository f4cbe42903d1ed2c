import type { Bundle } from '../../shared/bundle/bundle.js';
import {
  CapabilityDeclaration,
  ModuleRegistration,
  ModuleType,
  RegistrationMetadata,
  UpdateMode,
} from '../../shared/gen/rune/v1/mrs.js';
import {
  ModuleHealth,
  ModuleSource,
  ModuleState,
  RegisteredModule,
} from '../../shared/gen/rune/v1/registry.js';
import type { Lifecycle } from './lifecycle.js';
import type { ModuleRecord } from '../store/module-record.js';

/** A registration as the protocol shows it. */
export function showRecord(record: ModuleRecord, { state, reason }: Lifecycle): RegisteredModule {
  const { registration, beat } = record;
  const metadata = registration.registrationMetadata ?? RegistrationMetadata.create();
  return {
    registration: {
      ...registration,
      registrationMetadata: {
        ...metadata,
        registrationId: record.registrationId,
        registrationVersion: '1.0',
        updateMode: UpdateMode.UNSPECIFIED,
        expiresAt: new Date(record.expiresMs),
      },
    },
    state,
    stateReason: reason,
    source: ModuleSource.REGISTERED,
    contentDigest: record.contentDigest,
    registeredBy: record.registeredBy,
    lastHeartbeat: new Date(record.heartbeatMs),
    healthStatus: beat.health || ModuleHealth.HEALTHY,
    load: beat.load,
    lastActivity: beat.lastActivity,
    draining: beat.draining,
    endedAt: record.endedMs === 0 ? undefined : new Date(record.endedMs),
    endReason: record.endReason,
  };
}

/** The declaration of a bundle's actions. */
export function capabilitiesOf({ actions }: Bundle): CapabilityDeclaration {
  return CapabilityDeclaration.fromPartial({ provides: actions.map(({ capability }) => capability) });
}

/** A bundle of a directory as the protocol shows it. */
export function showDirectory(bundle: Bundle, isServing: boolean): RegisteredModule {
  const { moduleName, moduleVersion, moduleClass, description } = bundle.head;
  return {
    ...RegisteredModule.create(),
    registration: ModuleRegistration.fromPartial({
      moduleIdentity: {
        moduleName,
        moduleVersion,
        moduleClass,
        moduleType: ModuleType.PLUGIN_PROVIDER,
        description,
      },
      capabilityDeclaration: capabilitiesOf(bundle),
      registrationMetadata: { registrationId: `directory:${moduleName}@${moduleVersion}` },
    }),
    state: isServing ? ModuleState.ACTIVE : ModuleState.AVAILABLE,
    source: ModuleSource.DIRECTORY,
    healthStatus: ModuleHealth.HEALTHY,
  };
}

/** A mediator that only the configuration names, as the protocol shows it. */
export function showConfigured(address: string, zone: string): RegisteredModule {
  const moduleName = `mediator-${address.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`.replace(/-+$/, '');
  return {
    ...RegisteredModule.create(),
    registration: ModuleRegistration.fromPartial({
      moduleIdentity: { moduleName, moduleType: ModuleType.MEDIATOR },
      capabilityDeclaration: { serviceMetadata: { address, zone } },
      registrationMetadata: { registrationId: `configured:${address}` },
    }),
    state: ModuleState.DISCOVERED,
    source: ModuleSource.CONFIGURED,
  };
}

/** The same without the schemas and examples of its actions. */
export function inShort(module: RegisteredModule): RegisteredModule {
  const capability = module.registration?.capabilityDeclaration;
  if (module.registration === undefined || capability === undefined) return module;
  const provides = capability.provides.map((action) => ({
    ...action,
    inputSchema: '',
    outputSchema: '',
    configurationSchema: '',
    examples: [],
  }));
  return {
    ...module,
    registration: { ...module.registration, capabilityDeclaration: { ...capability, provides } },
  };
}

/** By what modules are listed, and where a page goes on. */
export function listKey({ registration }: RegisteredModule): string {
  const { moduleName = '', moduleVersion = '' } = registration?.moduleIdentity ?? {};
  return `${moduleName}\n${moduleVersion}\n${registration?.registrationMetadata?.registrationId}`;
}
