import { RuneError } from '../errors.js';
import type { Fault, FaultPath } from '../fault.js';
import { pathOfPointer } from '../fault.js';
import type { ActionExample } from '../gen/rune/v1/mrs.js';
import { Delivery, Risk } from '../gen/rune/v1/mrs.js';
import { checkJsonBounds } from '../json-bounds.js';
import type { SchemaCompiler, Validator } from '../schema.js';
import type { FileFaults } from '../file-faults.js';
import { BUNDLE_SCHEMA, MANIFEST_SCHEMA } from './manifest-schema.js';
import { isSemver } from './semver.js';
import type { YamlSource } from '../yaml-source.js';

/** What bundle.yaml says. */
export interface BundleHead {
  readonly moduleName: string;
  readonly moduleVersion: string;
  readonly moduleClass: string;
  readonly description: string;
  /** Path of the shell library inside the bundle. */
  readonly library: string;
  /** Directories of the actions inside the bundle. */
  readonly actions: readonly string[];
}

/** What an action's manifest.yaml says, with its schemas compiled. */
export interface Manifest {
  readonly action: string;
  readonly version: string;
  readonly description: string;
  /** Path of the script inside the action's directory. */
  readonly entrypoint: string;
  readonly delivery: Delivery;
  readonly risk: Risk;
  readonly idempotent: boolean;
  readonly supportsDryRun: boolean;
  readonly leavesProcesses: boolean;
  readonly timeoutMs: number;
  readonly inputSchema: string;
  readonly outputSchema: string;
  readonly input: Validator;
  readonly output: Validator;
  readonly examples: ActionExample[];
}

/** The files after their shape was checked. */
interface BundleYaml {
  module_name: string;
  module_version: string;
  module_class: string;
  description: string;
  library: string;
  actions: string[];
}

interface ManifestYaml {
  action: string;
  version: string;
  description: string;
  entrypoint: string;
  delivery: 'stream' | 'directory';
  mode: 'attached' | 'detached';
  run_as?: unknown;
  risk: 'read_only' | 'low' | 'high' | 'destructive';
  idempotent: boolean;
  supports_dry_run: boolean;
  leaves_processes: boolean;
  timeout_ms: number;
  input_schema: Record<string, unknown>;
  output_schema: Record<string, unknown>;
  examples: { description: string; params: Record<string, unknown>; output?: Record<string, unknown> }[];
}

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const NAME_RULE = 'must be lower-case words of letters and digits joined by "-", beginning with a letter';
const SEMVER_RULE = 'must be a version such as 1.2.0 (SemVer 2.0)';
const FILE_PATH = /^[A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*$/;
const FILE_PATH_RULE =
  'must be a path inside the bundle: names of letters, digits, ".", "_" and "-" joined by "/", without ".."';
const EXAMPLE_BOUNDS = { depthMax: 32, bytesMax: 64 * 1024 };

const RISKS = { read_only: Risk.READ_ONLY, low: Risk.LOW, high: Risk.HIGH, destructive: Risk.DESTRUCTIVE };
const DELIVERIES = { stream: Delivery.STREAM, directory: Delivery.DIRECTORY };

/** Checks a bundle.yaml. Its faults go to `faults`; undefined if they keep its library and actions from being found. */
export function readBundleHead(
  source: YamlSource,
  schemas: SchemaCompiler,
  faults: FileFaults,
): BundleHead | undefined {
  if (!faults.addYaml(source)) return undefined;
  const usable = checkShape(source, BUNDLE_SCHEMA, schemas, faults);
  const yaml = source.value as BundleYaml;
  const check = (isGood: boolean, path: FaultPath, reason: string, rule: string): void => {
    if (!isGood) faults.add(source, path, reason, rule);
  };
  if (usable('module_name')) check(NAME.test(yaml.module_name), ['module_name'], 'NAME', NAME_RULE);
  if (usable('module_version')) {
    check(isSemver(yaml.module_version), ['module_version'], 'VERSION', SEMVER_RULE);
  }
  const before = faults.count;
  if (usable('library')) check(FILE_PATH.test(yaml.library), ['library'], 'PATH', FILE_PATH_RULE);
  for (const [index, directory] of usable('actions') ? yaml.actions.entries() : []) {
    check(NAME.test(directory), ['actions', index], 'NAME', NAME_RULE);
  }
  if (!usable('library') || !usable('actions') || faults.count > before) return undefined;
  return {
    moduleName: yaml.module_name,
    moduleVersion: yaml.module_version,
    moduleClass: yaml.module_class,
    description: yaml.description,
    library: yaml.library,
    actions: yaml.actions,
  };
}

/** Checks a manifest.yaml with its schemas and examples. Its faults go to `faults`; undefined if there is any. */
export function readManifest(
  source: YamlSource,
  schemas: SchemaCompiler,
  faults: FileFaults,
): Manifest | undefined {
  const before = faults.count;
  if (!faults.addYaml(source)) return undefined;
  const usable = checkShape(source, MANIFEST_SCHEMA, schemas, faults);
  const yaml = source.value as ManifestYaml;
  const check = (isGood: boolean, path: FaultPath, reason: string, rule: string): void => {
    if (!isGood) faults.add(source, path, reason, rule);
  };
  if (usable('action')) check(NAME.test(yaml.action), ['action'], 'NAME', NAME_RULE);
  if (usable('version')) check(isSemver(yaml.version), ['version'], 'VERSION', SEMVER_RULE);
  if (usable('entrypoint')) check(FILE_PATH.test(yaml.entrypoint), ['entrypoint'], 'PATH', FILE_PATH_RULE);
  if (usable('mode')) {
    const rule = 'may only be attached: detached is not supported yet';
    check(yaml.mode === 'attached', ['mode'], 'NOT_SUPPORTED', rule);
  }
  const runAsRule = 'is not supported yet: the action runs as the user of the node';
  check(!usable('run_as'), ['run_as'], 'NOT_SUPPORTED', runAsRule);

  const compile = (key: 'input_schema' | 'output_schema', root: string): Validator | undefined =>
    usable(key) ? compileAt(source, [key], root, schemas, faults) : undefined;
  const input = compile('input_schema', 'params');
  const output = compile('output_schema', 'output');
  for (const [index, example] of usable('examples') ? yaml.examples.entries() : []) {
    const path = ['examples', index];
    checkExample(source, [...path, 'params'], example.params, input, faults);
    if (example.output !== undefined)
      checkExample(source, [...path, 'output'], example.output, output, faults);
  }
  if (faults.count > before || input === undefined || output === undefined) return undefined;
  return {
    action: yaml.action,
    version: yaml.version,
    description: yaml.description,
    entrypoint: yaml.entrypoint,
    delivery: DELIVERIES[yaml.delivery],
    risk: RISKS[yaml.risk],
    idempotent: yaml.idempotent,
    supportsDryRun: yaml.supports_dry_run,
    leavesProcesses: yaml.leaves_processes,
    timeoutMs: yaml.timeout_ms,
    inputSchema: JSON.stringify(yaml.input_schema),
    outputSchema: JSON.stringify(yaml.output_schema),
    input,
    output,
    examples: yaml.examples.map(({ description, params, output: answer }) => ({
      description,
      params,
      output: answer,
    })),
  };
}

/** Adds the faults of a file's shape, and tells which of its keys are there and sound, so that they can be looked into. */
function checkShape(
  source: YamlSource,
  schema: object,
  schemas: SchemaCompiler,
  faults: FileFaults,
): (key: string) => boolean {
  const { value } = source;
  const found = schemas.compile(JSON.stringify(schema), '').faults(value);
  for (const { path, reason, description } of found) faults.add(source, path, reason, description);
  const broken = new Set(found.map(({ path }) => path[0]));
  return (key) =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, key) && !broken.has(key);
}

/** A schema inside a manifest; what is wrong with it is told by the manifest's lines. */
function compileAt(
  source: YamlSource,
  path: readonly ['input_schema' | 'output_schema'],
  root: string,
  schemas: SchemaCompiler,
  faults: FileFaults,
): Validator | undefined {
  const schema = (source.value as ManifestYaml)[path[0]];
  if (schema['type'] !== 'object') {
    faults.add(source, [...path, 'type'], 'TYPE', 'must be object: parameters and output are JSON objects');
    return undefined;
  }
  try {
    return schemas.compile(JSON.stringify(schema), root);
  } catch (thrown) {
    if (!(thrown instanceof RuneError)) throw thrown;
    for (const { field, reason, description } of thrown.facts.validationErrors ?? []) {
      faults.add(source, [...path, ...pathOfPointer(field)], reason, description);
    }
    return undefined;
  }
}

function checkExample(
  source: YamlSource,
  path: FaultPath,
  value: Record<string, unknown>,
  validator: Validator | undefined,
  faults: FileFaults,
): void {
  let found: readonly Fault[] = checkJsonBounds(value, EXAMPLE_BOUNDS);
  // Checked as a copy: an example shows what a caller writes, not what the defaults make of it.
  if (found.length === 0 && validator !== undefined) found = validator.faults(structuredClone(value));
  for (const { path: inside, reason, description } of found) {
    faults.add(source, [...path, ...inside], reason, description);
  }
}
