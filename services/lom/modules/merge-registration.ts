import { RuneError } from '../../shared/errors.js';
import {
  UpdateMode,
  type CapabilityDeclaration,
  type MediatorMetadata,
  type ModuleIdentity,
  type ModuleRegistration,
  type TechnicalRequirements,
} from '../../shared/gen/rune/v1/mrs.js';
import type { ModuleContent } from '../../shared/gen/rune/v1/registry.js';

/** The one file of a bundle that says which version it is, so that appending changes it too. */
const HEAD = 'bundle.yaml';

const isSet = (value: unknown): boolean => {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return false;
  return Array.isArray(value) ? value.length > 0 : true;
};

/** What is set in `sent` in the place of what was there. */
function merged<T extends object>(before: T | undefined, sent: T | undefined): T | undefined {
  if (before === undefined || sent === undefined) return sent ?? before;
  const set = Object.entries(sent).filter(([, value]) => isSet(value));
  return { ...before, ...Object.fromEntries(set) };
}

/** Lists with what is new in `sent`; all else as it was. */
function appended<T extends object>(before: T | undefined, sent: T | undefined): T | undefined {
  if (before === undefined || sent === undefined) return before ?? sent;
  const grown = Object.entries(before).map(([key, value]: [string, unknown]) => {
    const more: unknown = sent[key as keyof T];
    if (!Array.isArray(value) || !Array.isArray(more)) return [key, value];
    const known = new Set(value.map((item) => JSON.stringify(item)));
    return [key, [...value, ...more.filter((item) => !known.has(JSON.stringify(item)))]];
  });
  return { ...before, ...Object.fromEntries(grown) };
}

function labelled(
  metadata: MediatorMetadata | undefined,
  labels: Readonly<Record<string, string>>,
): MediatorMetadata | undefined {
  return metadata && { ...metadata, labels: { ...labels } };
}

/** The registration that an update makes of one that there is. Its identity stays, but for the version and the description. */
export function mergeRegistration(before: ModuleRegistration, sent: ModuleRegistration): ModuleRegistration {
  const mode = sent.registrationMetadata?.updateMode ?? UpdateMode.UNSPECIFIED;
  if (mode === UpdateMode.UNSPECIFIED) {
    throw new RuneError('FIELD_MISSING', 'The update does not say how it is meant.', {
      field: 'registration_metadata.update_mode',
      expectedFormat: 'replace, merge or append',
    });
  }
  const identity = merged<ModuleIdentity>(before.moduleIdentity, sent.moduleIdentity);
  const common = { ...sent, moduleIdentity: identity };
  if (mode === UpdateMode.REPLACE) return common;
  const join = mode === UpdateMode.MERGE ? merged : appended;
  const [old, own] = [before.capabilityDeclaration, sent.capabilityDeclaration];
  const metadata = join<MediatorMetadata>(old?.serviceMetadata, own?.serviceMetadata);
  const [oldLabels, ownLabels] = [old?.serviceMetadata?.labels ?? {}, own?.serviceMetadata?.labels ?? {}];
  const labels = mode === UpdateMode.MERGE ? { ...oldLabels, ...ownLabels } : { ...ownLabels, ...oldLabels };
  const capability = join<CapabilityDeclaration>(old, own);
  return {
    ...common,
    capabilityDeclaration: capability && { ...capability, serviceMetadata: labelled(metadata, labels) },
    technicalRequirements: join<TechnicalRequirements>(
      before.technicalRequirements,
      sent.technicalRequirements,
    ),
  };
}

/** The files that an update makes of those that there are. */
export function mergeContent(before: ModuleContent, sent: ModuleContent, mode: UpdateMode): ModuleContent {
  if (mode === UpdateMode.REPLACE) return sent;
  const files = new Map(before.files.map((file) => [file.path, file]));
  for (const [index, file] of sent.files.entries()) {
    if (mode === UpdateMode.APPEND && file.path !== HEAD && files.has(file.path)) {
      throw new RuneError('FIELD_OUT_OF_RANGE', `The bundle has a file ${file.path} already.`, {
        field: `content.files[${index}].path`,
        expectedFormat: 'a new path, or update_mode merge',
      });
    }
    files.set(file.path, file);
  }
  return { files: [...files.values()] };
}
