import { RuneError } from '../../shared/errors.js';
import { isInRange } from '../../shared/bundle/semver-range.js';
import type { ValidationError } from '../../shared/gen/rune/v1/eps.js';
import { Criticality, type ModuleRegistration } from '../../shared/gen/rune/v1/mrs.js';

/** A module that others may depend on. */
export interface ModuleVersion {
  readonly name: string;
  readonly version: string;
}

/** A dependency that is not there, and which versions are. */
interface Missing {
  readonly field: string;
  readonly words: string;
  readonly isRequired: boolean;
  readonly versions: readonly string[];
}

function missingOf(
  { technicalRequirements }: ModuleRegistration,
  modules: readonly ModuleVersion[],
): Missing[] {
  const { dependencies = [] } = technicalRequirements ?? {};
  return dependencies.flatMap(({ moduleName, versionRequirement, criticality }, index) => {
    const versions = modules.filter(({ name }) => name === moduleName).map(({ version }) => version);
    const range = versionRequirement || '*';
    if (versions.some((version) => isInRange(version, range))) return [];
    const words = range === '*' ? moduleName : `${moduleName} ${range}`;
    const field = `technical_requirements.dependencies[${index}]`;
    return [{ field, words, isRequired: criticality !== Criticality.OPTIONAL, versions }];
  });
}

/** The required dependencies that none of these modules is, in words. */
export function missingRequired(
  registration: ModuleRegistration,
  modules: readonly ModuleVersion[],
): string[] {
  return missingOf(registration, modules).flatMap(({ isRequired, words }) => (isRequired ? [words] : []));
}

/**
 * Checks what a registration depends on. Throws MODULE_DEPENDENCY_MISSING, or MODULE_VERSION_CONFLICT where only other versions are
 * there; resolves with the optional ones that are missing.
 */
export function checkDependencies(
  registration: ModuleRegistration,
  modules: readonly ModuleVersion[],
): ValidationError[] {
  const missing = missingOf(registration, modules);
  const [first] = missing.filter(({ isRequired }) => isRequired);
  if (first !== undefined) {
    const isThere = first.versions.length > 0;
    const why = isThere ? `; there is ${first.versions.join(', ')}` : '';
    throw new RuneError(
      isThere ? 'MODULE_VERSION_CONFLICT' : 'MODULE_DEPENDENCY_MISSING',
      `The module depends on ${first.words}, which is not registered${why}.`,
      { field: first.field },
    );
  }
  return missing.map(({ field, words }) => ({
    field,
    reason: 'MODULE_DEPENDENCY_MISSING',
    description: `depends on ${words}, which is not registered, and is optional`,
  }));
}
