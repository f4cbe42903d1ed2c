import type { FaultPath } from '../fault.js';
import type { FileFaults } from '../files/file-faults.js';
import type { SchemaCompiler } from '../schema/schema.js';
import type { YamlSource } from '../files/yaml-source.js';
import { checkFileShape } from './check-file-shape.js';
import { FILE_PATH, FILE_PATH_RULE, NAME, NAME_RULE, SEMVER_RULE } from './file-rules.js';
import { BUNDLE_SCHEMA } from './manifest-schema.js';
import { isSemver } from './semver.js';

/** What bundle.yaml says. */
export interface BundleHead {
  readonly moduleName: string;
  readonly moduleVersion: string;
  readonly moduleClass: string;
  readonly description: string;
  /** Path of the shell library inside the bundle; undefined for the one that comes with this package. */
  readonly library: string | undefined;
  /** Directories of the actions inside the bundle. */
  readonly actions: readonly string[];
  /** Values of the configuration of actions, by action. */
  readonly configuration: Readonly<Record<string, Record<string, unknown>>>;
}

/** The file after its shape was checked. */
interface BundleYaml {
  module_name: string;
  module_version: string;
  module_class: string;
  description: string;
  library?: string;
  actions: string[];
  configuration?: Record<string, Record<string, unknown>>;
}

/** Checks a bundle.yaml. Its faults go to `faults`; undefined if they keep its library and actions from being found. */
export function readBundleHead(
  source: YamlSource,
  schemas: SchemaCompiler,
  faults: FileFaults,
): BundleHead | undefined {
  if (!faults.addYaml(source)) return undefined;
  const usable = checkFileShape(source, BUNDLE_SCHEMA, schemas, faults);
  const yaml = source.value as BundleYaml;
  const check = (isGood: boolean, path: FaultPath, reason: string, rule: string): void => {
    if (!isGood) faults.add(source, path, reason, rule);
  };
  if (usable('module_name')) check(NAME.test(yaml.module_name), ['module_name'], 'NAME', NAME_RULE);
  if (usable('module_version')) {
    check(isSemver(yaml.module_version), ['module_version'], 'VERSION', SEMVER_RULE);
  }
  const before = faults.count;
  const library = usable('library') ? yaml.library : undefined;
  if (library !== undefined) {
    check(FILE_PATH.test(library), ['library'], 'PATH', FILE_PATH_RULE);
  }
  for (const [index, directory] of usable('actions') ? yaml.actions.entries() : []) {
    check(NAME.test(directory), ['actions', index], 'NAME', NAME_RULE);
  }
  if (!usable('actions') || faults.count > before) return undefined;
  return {
    moduleName: yaml.module_name,
    moduleVersion: yaml.module_version,
    moduleClass: yaml.module_class,
    description: yaml.description,
    library,
    actions: yaml.actions,
    configuration: usable('configuration') ? (yaml.configuration ?? {}) : {},
  };
}
