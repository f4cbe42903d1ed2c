import { RuneError } from '../../shared/errors.js';
import type { Bundle } from '../../shared/bundle/bundle.js';
import type { BundleChecks } from '../../shared/bundle/bundle-files.js';
import { ModuleType, type ModuleIdentity, type ModuleRegistration } from '../../shared/gen/rune/v1/mrs.js';
import type { ModuleContent } from '../../shared/gen/rune/v1/registry.js';
import { checkRegistration } from './check-registration.js';
import { checkContent, contentDigest, readContent } from './module-content.js';
import { capabilitiesOf } from './show-module.js';

/** What is to be registered, checked as far as it can be by itself. */
export interface Candidate {
  readonly registration: ModuleRegistration;
  readonly content: ModuleContent | undefined;
  /** Undefined for a mediator. */
  readonly bundle: Bundle | undefined;
  /** Names exactly the files; empty for a mediator. */
  readonly digest: string;
  /** Who registers it. */
  readonly caller: string;
}

/**
 * Reads what was sent: a bundle's identity and actions are completed from its files. Throws the refusals of MRS that need no look at
 * what else is registered.
 */
export async function readCandidate(
  { registration: sent, content, caller }: Pick<Candidate, 'registration' | 'content' | 'caller'>,
  checks: Omit<BundleChecks, 'faults'>,
  nowMs: number,
): Promise<Candidate> {
  const { schemas } = checks;
  if (sent.moduleIdentity?.moduleType !== ModuleType.PLUGIN_PROVIDER) {
    if (content !== undefined)
      throw new RuneError('FIELD_WRONG_TYPE', 'Only a plugin bundle has content.', { field: 'content' });
    checkRegistration(sent, nowMs, schemas);
    return { registration: sent, content, bundle: undefined, digest: '', caller };
  }
  if (content === undefined) {
    const message = 'A plugin bundle is registered with its files.';
    throw new RuneError('FIELD_MISSING', message, { field: 'content' });
  }
  checkContent(content);
  const bundle = await readContent(content, sent.moduleIdentity.moduleName || 'bundle', checks);
  const registration = { ...sent, moduleIdentity: identityOf(bundle, sent.moduleIdentity) };
  checkRegistration(registration, nowMs, schemas);
  requireSameActions(bundle, registration);
  const { serviceMetadata, consumesEvents = [] } = registration.capabilityDeclaration ?? {};
  const capabilityDeclaration = { ...capabilitiesOf(bundle), serviceMetadata, consumesEvents };
  return {
    registration: { ...registration, capabilityDeclaration },
    content,
    bundle,
    digest: contentDigest(content),
    caller,
  };
}

/** The identity of a bundle, by its bundle.yaml; what the registration says besides must be the same. */
function identityOf({ head }: Bundle, sent: ModuleIdentity): ModuleIdentity {
  const own = { moduleName: head.moduleName, moduleVersion: head.moduleVersion };
  const requireSame = (field: string, said: string, value: string): void => {
    if (said === '' || said === value) return;
    throw new RuneError('FIELD_MALFORMED', `The registration says ${said}, and bundle.yaml ${value}.`, {
      field: `module_identity.${field}`,
      originalValue: said,
      expectedFormat: value,
    });
  };
  requireSame('module_name', sent.moduleName, head.moduleName);
  requireSame('module_version', sent.moduleVersion, head.moduleVersion);
  return {
    ...own,
    moduleClass: sent.moduleClass || head.moduleClass,
    moduleType: ModuleType.PLUGIN_PROVIDER,
    description: sent.description || head.description,
    registrationTimestamp: undefined,
  };
}

/** What a registration says that the bundle provides must be what its files provide. */
function requireSameActions({ actions }: Bundle, { capabilityDeclaration }: ModuleRegistration): void {
  const { provides = [] } = capabilityDeclaration ?? {};
  if (provides.length === 0) return;
  const names = (all: readonly { action: string; version: string }[]): string =>
    all
      .map(({ action, version }) => `${action}@${version}`)
      .toSorted()
      .join(', ');
  const [said, real] = [names(provides), names(actions.map(({ capability }) => capability))];
  if (said === real) return;
  throw new RuneError('FIELD_MALFORMED', `The registration provides ${said}, and its files ${real}.`, {
    field: 'capability_declaration.provides',
    expectedFormat: real,
  });
}
