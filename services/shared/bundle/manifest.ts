import { RuneError } from '../errors.js';
import type { Fault, FaultPath } from '../fault.js';
import { pathOfPointer } from '../fault.js';
import type { ActionExample, Requirements } from '../gen/rune/v1/mrs.js';
import { ParameterInput } from '../gen/rune/v1/lmm.js';
import { Delivery, PluginProtocol, Risk } from '../gen/rune/v1/mrs.js';
import { checkJsonBounds } from '../schema/json-bounds.js';
import type { SchemaCompiler, Validator } from '../schema/schema.js';
import type { FileFaults } from '../files/file-faults.js';
import { isObject } from '../schema/schema-graph.js';
import type { ArgumentGroup, ArgumentsYaml } from './argument-template.js';
import { readArguments } from './argument-template.js';
import type { BoltTask } from './bolt-metadata.js';
import { FILE_PATH, FILE_PATH_RULE, NAME, NAME_RULE, SEMVER_RULE } from './file-rules.js';
import { checkFileShape } from './check-file-shape.js';
import { COMMANDS_MAX, MANIFEST_SCHEMA } from './manifest-schema.js';
import { checkProtocolKeys } from './protocol-keys.js';
import { PROTOCOL_OUTPUT_SCHEMA } from './protocol-output-schema.js';
import type { RequirementsYaml } from './requirements.js';
import { COMMAND_RULE, isCommand, readRequirements } from './requirements.js';
import { secretsOf, type Secrets } from './secrets.js';
import { isSemver } from './semver.js';
import { USER_NAME, USER_NAME_RULE } from '../user-name.js';
import type { YamlSource } from '../files/yaml-source.js';

/** What an action's manifest.yaml says, with its schemas compiled. */
export interface Manifest {
  readonly action: string;
  readonly version: string;
  readonly description: string;
  readonly protocol: PluginProtocol;
  /** Path of the script inside the action's directory; undefined for an action with a command. */
  readonly entrypoint: string | undefined;
  /** What the plugin's arguments are made of; a command is the first of them. */
  readonly arguments: readonly ArgumentGroup[];
  readonly parameterInput: ParameterInput;
  readonly delivery: Delivery;
  /** Helper files: relative to the action's directory, or with a leading "/" to the bundle. */
  readonly files: readonly string[];
  readonly requires: Requirements;
  /** The user of the node that the action must run as; empty if it names none. */
  readonly runAs: string;
  readonly risk: Risk;
  readonly idempotent: boolean;
  readonly supportsDryRun: boolean;
  readonly leavesProcesses: boolean;
  readonly systemdScope: boolean;
  readonly timeoutMs: number;
  readonly cooldownMs: number;
  /** 0 for any number. */
  readonly maxConcurrent: number;
  readonly inputSchema: string;
  readonly outputSchema: string;
  /** Empty for an action without a configuration. */
  readonly configurationSchema: string;
  /** Which parameters are secrets. */
  readonly secrets: Secrets;
  readonly input: Validator;
  readonly output: Validator;
  readonly configuration: Validator | undefined;
  readonly examples: ActionExample[];
}

/** The file after its shape was checked. */
interface ManifestYaml {
  action: string;
  version: string;
  description?: string;
  protocol: 'bpcs' | 'raw' | 'nagios' | 'bolt';
  entrypoint?: string;
  command?: string;
  arguments: ArgumentsYaml;
  bolt_metadata?: string;
  delivery: 'stream' | 'directory';
  mode: 'attached' | 'detached';
  run_as?: string;
  risk: 'read_only' | 'low' | 'high' | 'destructive';
  idempotent: boolean;
  supports_dry_run?: boolean;
  leaves_processes: boolean;
  systemd_scope: boolean;
  timeout_ms: number;
  cooldown_ms: number;
  max_concurrent: number;
  files: string[];
  requires?: RequirementsYaml;
  input_schema?: Record<string, unknown>;
  output_schema?: Record<string, unknown>;
  configuration_schema?: Record<string, unknown>;
  examples: { description: string; params: Record<string, unknown>; output?: Record<string, unknown> }[];
}

type SchemaKey = 'input_schema' | 'output_schema' | 'configuration_schema';

const EXAMPLE_BOUNDS = { depthMax: 32, bytesMax: 64 * 1024 };

const RISKS = { read_only: Risk.READ_ONLY, low: Risk.LOW, high: Risk.HIGH, destructive: Risk.DESTRUCTIVE };
const PROTOCOLS = {
  bpcs: PluginProtocol.BPCS,
  raw: PluginProtocol.RAW,
  nagios: PluginProtocol.NAGIOS,
  bolt: PluginProtocol.BOLT,
};
const DELIVERIES = { stream: Delivery.STREAM, directory: Delivery.DIRECTORY };

/**
 * Checks a manifest.yaml with its schemas and examples; `task` is what the metadata file says that it names. Its faults go to
 * `faults`; undefined if there is any.
 */
export function readManifest(
  source: YamlSource,
  schemas: SchemaCompiler,
  faults: FileFaults,
  task?: BoltTask,
): Manifest | undefined {
  const before = faults.count;
  if (!faults.addYaml(source)) return undefined;
  const usable = checkFileShape(source, MANIFEST_SCHEMA, schemas, faults);
  const yaml = source.value as ManifestYaml;
  const add = (path: FaultPath, reason: string, rule: string): void => faults.add(source, path, reason, rule);
  const check = (isGood: boolean, path: FaultPath, reason: string, rule: string): void => {
    if (!isGood) add(path, reason, rule);
  };
  if (usable('action')) check(NAME.test(yaml.action), ['action'], 'NAME', NAME_RULE);
  if (usable('version')) check(isSemver(yaml.version), ['version'], 'VERSION', SEMVER_RULE);
  for (const key of ['entrypoint', 'bolt_metadata'] as const) {
    if (usable(key)) check(FILE_PATH.test(yaml[key] ?? ''), [key], 'PATH', FILE_PATH_RULE);
  }
  if (usable('command')) check(isCommand(yaml.command ?? ''), ['command'], 'COMMAND', COMMAND_RULE);
  for (const [index, path] of usable('files') ? yaml.files.entries() : []) {
    check(FILE_PATH.test(path.replace(/^\//, '')), ['files', index], 'PATH', FILE_PATH_RULE);
  }
  const requires = readRequirements(usable('requires') ? (yaml.requires ?? []) : [], (path, reason, rule) =>
    add(['requires', ...path], reason, rule),
  );
  if (usable('mode')) {
    const rule = 'may only be attached: detached is not supported yet';
    check(yaml.mode === 'attached', ['mode'], 'NOT_SUPPORTED', rule);
  }
  const runAs = usable('run_as') ? yaml.run_as : undefined;
  check(runAs === undefined || USER_NAME.test(runAs), ['run_as'], 'USER', USER_NAME_RULE);

  const compile = (key: SchemaKey, root: string): Validator | undefined =>
    usable(key) ? compileAt(source, [key], yaml[key], root, schemas, faults) : undefined;
  const inputSchema = (usable('input_schema') ? yaml.input_schema : task?.inputSchema) ?? {};
  const input =
    task === undefined || usable('input_schema')
      ? compile('input_schema', 'params')
      : compileAt(source, ['bolt_metadata'], inputSchema, 'params', schemas, faults);
  checkDefaults(source, inputSchema, task === undefined || usable('input_schema'), input, faults);
  const protocol = usable('protocol') ? PROTOCOLS[yaml.protocol] : PluginProtocol.BPCS;
  const outputSchema = yaml?.output_schema ?? PROTOCOL_OUTPUT_SCHEMA[protocol];
  const output =
    usable('output_schema') || outputSchema === undefined
      ? compile('output_schema', 'output')
      : schemas.compile(JSON.stringify(outputSchema), 'output');
  const configuration = compile('configuration_schema', 'configuration');
  for (const [index, example] of usable('examples') ? yaml.examples.entries() : []) {
    const path = ['examples', index];
    checkExample(source, [...path, 'params'], example.params, input, faults);
    if (example.output !== undefined)
      checkExample(source, [...path, 'output'], example.output, output, faults);
  }

  const secrets = secretsOf(inputSchema, task?.sensitive);
  if (['protocol', 'arguments', 'files', 'delivery'].every(usable)) checkProtocolKeys(yaml, add);
  if (task !== undefined) checkTask(source, task, inputSchema, secrets, faults);
  if (protocol === PluginProtocol.BOLT) checkTaskNames(inputSchema, add);
  const words = usable('arguments')
    ? readArguments(yaml.arguments, inputSchema, secrets, (path, reason, rule) =>
        add(['arguments', ...path], reason, rule),
      )
    : [];
  const description = yaml?.description ?? task?.description ?? '';
  if (task !== undefined && !Object.hasOwn(yaml, 'description')) {
    check(description !== '', ['description'], 'REQUIRED', 'is required: the metadata of the task has none');
  }
  const command = usable('command') ? yaml.command : undefined;
  const needs = command === undefined ? requires : withCommand(requires, command);
  if (usable('risk') && usable('cooldown_ms')) {
    const rule = 'is for actions that change something, and the risk of this one is read_only';
    check(yaml.risk !== 'read_only' || yaml.cooldown_ms === 0, ['cooldown_ms'], 'RISK', rule);
  }
  const room = `may name at most ${COMMANDS_MAX} commands, the action's own among them`;
  check(needs.commands.length <= COMMANDS_MAX, ['requires'], 'MAX_ITEMS', room);
  if (faults.count > before || input === undefined || output === undefined) return undefined;
  return {
    action: yaml.action,
    version: yaml.version,
    description,
    protocol,
    entrypoint: yaml.entrypoint,
    arguments: command === undefined ? words : [commandGroup(command), ...words],
    parameterInput: task?.parameterInput ?? ParameterInput.UNSPECIFIED,
    delivery: DELIVERIES[yaml.delivery],
    risk: RISKS[yaml.risk],
    idempotent: yaml.idempotent,
    supportsDryRun: yaml.supports_dry_run ?? task?.supportsDryRun ?? false,
    leavesProcesses: yaml.leaves_processes,
    systemdScope: yaml.systemd_scope,
    timeoutMs: yaml.timeout_ms,
    cooldownMs: yaml.cooldown_ms,
    maxConcurrent: yaml.max_concurrent,
    files: yaml.files,
    requires: needs,
    runAs: runAs ?? '',
    inputSchema: JSON.stringify(inputSchema),
    outputSchema: JSON.stringify(outputSchema),
    configurationSchema:
      yaml.configuration_schema === undefined ? '' : JSON.stringify(yaml.configuration_schema),
    secrets,
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

const commandGroup = (command: string): ArgumentGroup => ({ when: undefined, words: [[{ text: command }]] });

function withCommand(requires: Requirements, command: string): Requirements {
  return { ...requires, commands: [...new Set([command, ...requires.commands])] };
}

/** What the metadata of a Bolt task asks for must not give a secret away. */
function checkTask(
  source: YamlSource,
  { parameterInput, sensitive }: BoltTask,
  inputSchema: Readonly<Record<string, unknown>>,
  secrets: Secrets,
  faults: FileFaults,
): void {
  if (parameterInput !== ParameterInput.STDIN && secrets.first !== undefined) {
    const rule = `asks for the parameters in the environment, which other processes of the user can read, and the parameter ${secrets.first} is a secret: use a task with input_method stdin`;
    faults.add(source, ['bolt_metadata'], 'SECRET', rule);
  }
  const marked = secretsOf(inputSchema);
  for (const name of sensitive) {
    if (marked.include(name)) continue;
    const path = ['input_schema', 'properties', name];
    faults.add(source, path, 'SECRET', 'is sensitive in the metadata of the task: mark it writeOnly: true');
  }
}

/** Tasks trust what they are told under names that Bolt keeps for itself, such as _noop and _installdir. */
function checkTaskNames(
  { properties }: Readonly<Record<string, unknown>>,
  add: (path: FaultPath, reason: string, rule: string) => void,
): void {
  const rule = 'begins with "_": such names are kept for what Bolt itself tells a task';
  for (const name of isObject(properties) ? Object.keys(properties) : []) {
    if (name.startsWith('_')) add(['input_schema', 'properties', name], 'NAME', rule);
  }
}

/** A schema inside a manifest, or made of its task; what is wrong with it is told by the manifest's lines. */
function compileAt(
  source: YamlSource,
  path: FaultPath,
  schema: Readonly<Record<string, unknown>> | undefined,
  root: string,
  schemas: SchemaCompiler,
  faults: FileFaults,
): Validator | undefined {
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

/** A default that breaks the schema it stands in would have every run refused that leaves the parameter out. */
function checkDefaults(
  source: YamlSource,
  inputSchema: Readonly<Record<string, unknown>>,
  isOwn: boolean,
  input: Validator | undefined,
  faults: FileFaults,
): void {
  const { properties } = inputSchema;
  for (const { path, reason, description } of input?.faults({}) ?? []) {
    const [name = '', ...inside] = path;
    const property = isObject(properties) ? properties[name] : undefined;
    if (!isObject(property) || !Object.hasOwn(property, 'default')) continue;
    if (isOwn) {
      faults.add(source, ['input_schema', 'properties', name, 'default', ...inside], reason, description);
    } else {
      faults.add(
        source,
        ['bolt_metadata'],
        reason,
        `gives the parameter ${name} a default that ${description}`,
      );
    }
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
