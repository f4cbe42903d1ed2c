import { RuneError } from '../errors.js';
import type { Fault, FaultPath } from '../fault.js';
import { pathOfPointer } from '../fault.js';
import type { ActionExample, Requirements } from '../gen/rune/v1/mrs.js';
import { Delivery, Risk } from '../gen/rune/v1/mrs.js';
import { checkJsonBounds } from '../json-bounds.js';
import type { SchemaCompiler, Validator } from '../schema.js';
import type { FileFaults } from '../file-faults.js';
import { FILE_PATH, FILE_PATH_RULE, NAME, NAME_RULE, SEMVER_RULE } from './file-rules.js';
import { checkFileShape } from './check-file-shape.js';
import { MANIFEST_SCHEMA } from './manifest-schema.js';
import type { RequirementsYaml } from './requirements.js';
import { readRequirements } from './requirements.js';
import { isSemver } from './semver.js';
import type { YamlSource } from '../yaml-source.js';

/** What an action's manifest.yaml says, with its schemas compiled. */
export interface Manifest {
  readonly action: string;
  readonly version: string;
  readonly description: string;
  /** Path of the script inside the action's directory. */
  readonly entrypoint: string;
  readonly delivery: Delivery;
  /** Helper files: relative to the action's directory, or with a leading "/" to the bundle. */
  readonly files: readonly string[];
  readonly requires: Requirements;
  readonly risk: Risk;
  readonly idempotent: boolean;
  readonly supportsDryRun: boolean;
  readonly leavesProcesses: boolean;
  readonly timeoutMs: number;
  readonly inputSchema: string;
  readonly outputSchema: string;
  /** Empty for an action without a configuration. */
  readonly configurationSchema: string;
  readonly input: Validator;
  readonly output: Validator;
  readonly configuration: Validator | undefined;
  readonly examples: ActionExample[];
}

/** The file after its shape was checked. */
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
  files: string[];
  requires?: RequirementsYaml;
  input_schema: Record<string, unknown>;
  output_schema: Record<string, unknown>;
  configuration_schema?: Record<string, unknown>;
  examples: { description: string; params: Record<string, unknown>; output?: Record<string, unknown> }[];
}

type SchemaKey = 'input_schema' | 'output_schema' | 'configuration_schema';

const EXAMPLE_BOUNDS = { depthMax: 32, bytesMax: 64 * 1024 };

const RISKS = { read_only: Risk.READ_ONLY, low: Risk.LOW, high: Risk.HIGH, destructive: Risk.DESTRUCTIVE };
const DELIVERIES = { stream: Delivery.STREAM, directory: Delivery.DIRECTORY };

/** Checks a manifest.yaml with its schemas and examples. Its faults go to `faults`; undefined if there is any. */
export function readManifest(
  source: YamlSource,
  schemas: SchemaCompiler,
  faults: FileFaults,
): Manifest | undefined {
  const before = faults.count;
  if (!faults.addYaml(source)) return undefined;
  const usable = checkFileShape(source, MANIFEST_SCHEMA, schemas, faults);
  const yaml = source.value as ManifestYaml;
  const check = (isGood: boolean, path: FaultPath, reason: string, rule: string): void => {
    if (!isGood) faults.add(source, path, reason, rule);
  };
  if (usable('action')) check(NAME.test(yaml.action), ['action'], 'NAME', NAME_RULE);
  if (usable('version')) check(isSemver(yaml.version), ['version'], 'VERSION', SEMVER_RULE);
  if (usable('entrypoint')) check(FILE_PATH.test(yaml.entrypoint), ['entrypoint'], 'PATH', FILE_PATH_RULE);
  for (const [index, path] of usable('files') ? yaml.files.entries() : []) {
    check(FILE_PATH.test(path.replace(/^\//, '')), ['files', index], 'PATH', FILE_PATH_RULE);
  }
  const requires = readRequirements(usable('requires') ? (yaml.requires ?? []) : [], (path, reason, rule) =>
    check(false, ['requires', ...path], reason, rule),
  );
  if (usable('mode')) {
    const rule = 'may only be attached: detached is not supported yet';
    check(yaml.mode === 'attached', ['mode'], 'NOT_SUPPORTED', rule);
  }
  const runAsRule = 'is not supported yet: the action runs as the user of the node';
  check(!usable('run_as'), ['run_as'], 'NOT_SUPPORTED', runAsRule);

  const compile = (key: SchemaKey, root: string): Validator | undefined =>
    usable(key) ? compileAt(source, [key], root, schemas, faults) : undefined;
  const input = compile('input_schema', 'params');
  const output = compile('output_schema', 'output');
  const configuration = compile('configuration_schema', 'configuration');
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
    files: yaml.files,
    requires,
    inputSchema: JSON.stringify(yaml.input_schema),
    outputSchema: JSON.stringify(yaml.output_schema),
    configurationSchema:
      yaml.configuration_schema === undefined ? '' : JSON.stringify(yaml.configuration_schema),
    input,
    output,
    configuration,
    examples: yaml.examples.map(({ description, params, output: answer }) => ({
      description,
      params,
      output: answer,
    })),
  };
}

/** A schema inside a manifest; what is wrong with it is told by the manifest's lines. */
function compileAt(
  source: YamlSource,
  path: readonly [SchemaKey],
  root: string,
  schemas: SchemaCompiler,
  faults: FileFaults,
): Validator | undefined {
  const schema = (source.value as ManifestYaml)[path[0]];
  if (schema?.['type'] !== 'object') {
    const rule = 'must be object: parameters, output and configuration are JSON objects';
    faults.add(source, [...path, 'type'], 'TYPE', rule);
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
