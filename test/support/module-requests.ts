import {
  RegisterModuleRequest,
  type ModuleContent,
  type RegisteredModule,
} from '../../services/shared/gen/rune/v1/registry.js';
import { bundleFiles } from './bundle-files.js';

/** Fields of a registration that a test sets. */
export type RegisterFields = Parameters<typeof RegisterModuleRequest.fromPartial>[0];

/** A bundle with one action, which prints `said`. */
export function bundleOf(
  name: string,
  version: string,
  action: string,
  said = version,
  fields: object = {},
): ModuleContent {
  const files = bundleFiles(
    { [action]: { version, ...fields } },
    { module_name: name, module_version: version },
    `#!/bin/bash\nrune_init\nrune_ok "${said}"\n`,
  );
  return {
    files: Object.entries(files).map(([path, content]) => ({
      path,
      content: Buffer.from(content),
      sha256: '',
    })),
  };
}

/** The registration of a bundle with these files. */
export const bundleRequest = (content: ModuleContent, fields: RegisterFields = {}): RegisterModuleRequest =>
  RegisterModuleRequest.fromPartial({
    content,
    ...fields,
    registration: { moduleIdentity: { moduleType: 1 }, ...fields.registration },
  });

/** The registration of a mediator; `fields` are those of what it says of itself. */
export const mediatorRequest = (
  name: string,
  fields: object = {},
  identity: object = {},
): RegisterModuleRequest =>
  RegisterModuleRequest.fromPartial({
    registration: {
      moduleIdentity: { moduleName: name, moduleVersion: '1.0.0', moduleType: 2, ...identity },
      capabilityDeclaration: {
        serviceMetadata: {
          address: '192.0.2.1:50052',
          transports: ['ssh'],
          maxConcurrentRuns: 10,
          lmmInstanceId: name,
          ...fields,
        },
      },
    },
  });

/** The id of a registration; empty without one. */
export const registrationIdOf = (module: RegisteredModule | undefined): string =>
  module?.registration?.registrationMetadata?.registrationId ?? '';
