import { ParameterInput } from '../gen/rune/v1/lmm.js';
import type { FileFaults } from '../files/file-faults.js';
import { SCHEMA_DIALECT } from '../schema/schema-source.js';
import type { SchemaCompiler } from '../schema/schema.js';
import type { YamlSource } from '../files/yaml-source.js';
import { checkFileShape } from './check-file-shape.js';
import { acceptsUndef, puppetSchema } from './puppet-schema.js';
import { parsePuppetType } from './puppet-type.js';

/** What the metadata file of a Puppet Bolt task says. */
export interface BoltTask {
  /** Empty if it says nothing. */
  readonly description: string;
  /** JSON Schema made of the parameters and their Puppet types. */
  readonly inputSchema: Record<string, unknown>;
  /** Parameters marked `sensitive: true`. */
  readonly sensitive: readonly string[];
  readonly supportsDryRun: boolean;
  readonly parameterInput: ParameterInput;
}

interface BoltParameter {
  description?: string;
  type?: string;
  default?: unknown;
  sensitive?: boolean;
}

interface BoltMetadata {
  description?: string;
  supports_noop?: boolean;
  input_method?: 'stdin' | 'environment' | 'both' | 'powershell';
  parameters?: Record<string, BoltParameter> | null;
}

const TYPE_CHARS_MAX = 4000;
const METADATA_SCHEMA = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  properties: {
    description: { type: 'string', maxLength: 1000 },
    supports_noop: { type: 'boolean' },
    input_method: { enum: ['stdin', 'environment', 'both', 'powershell'] },
    parameters: {
      type: ['object', 'null'],
      maxProperties: 200,
      additionalProperties: {
        type: 'object',
        properties: {
          description: { type: 'string', maxLength: 4000 },
          type: { type: 'string', maxLength: TYPE_CHARS_MAX },
          sensitive: { type: 'boolean' },
        },
      },
    },
  },
};

const INPUTS = {
  stdin: ParameterInput.STDIN,
  environment: ParameterInput.ENVIRONMENT,
  both: ParameterInput.BOTH,
  // Refused; listed so that every method is.
  powershell: ParameterInput.UNSPECIFIED,
} as const;

/** What a task may ask for and does not get here, with what to do instead. */
const NOT_SERVED: Readonly<Record<string, string>> = {
  files: 'is not supported: name the files in `files` of the manifest',
  implementations: 'is not supported: name the script in `entrypoint` of the manifest',
  remote: 'is not supported: a task runs on the node itself',
};
const PARAMETER = /^[a-z][a-z0-9_]*$/;
const PARAMETER_RULE =
  'must be a name as Puppet has them: a lower-case letter, then lower-case letters, digits and "_"';

/** Checks the metadata of a Bolt task. Its faults go to `faults`; undefined if there is any. */
export function readBoltMetadata(
  source: YamlSource,
  schemas: SchemaCompiler,
  faults: FileFaults,
): BoltTask | undefined {
  const before = faults.count;
  if (!faults.addYaml(source)) return undefined;
  checkFileShape(source, METADATA_SCHEMA, schemas, faults);
  if (faults.count > before) return undefined;
  const metadata = source.value as BoltMetadata;
  for (const [key, rule] of Object.entries(NOT_SERVED)) {
    if (asksFor((source.value as Record<string, unknown>)[key]))
      faults.add(source, [key], 'NOT_SUPPORTED', rule);
  }
  const { input_method: method, parameters } = metadata;
  if (method === 'powershell') {
    faults.add(
      source,
      ['input_method'],
      'NOT_SUPPORTED',
      'is not supported: nodes with Windows are not served',
    );
  }
  const properties: [string, Record<string, unknown>][] = [];
  const required: string[] = [];
  for (const [name, parameter] of Object.entries(parameters ?? {})) {
    if (!PARAMETER.test(name)) faults.add(source, ['parameters', name], 'NAME', PARAMETER_RULE);
    const type = parsePuppetType(parameter.type ?? 'Any');
    if (type === undefined) {
      faults.add(source, ['parameters', name, 'type'], 'TYPE', 'is not the text of a Puppet type');
      continue;
    }
    const { description, sensitive } = parameter;
    properties.push([
      name,
      {
        ...(description === undefined ? {} : { description }),
        ...puppetSchema(type),
        ...(sensitive === true ? { writeOnly: true } : {}),
        ...('default' in parameter ? { default: parameter.default } : {}),
      },
    ]);
    if (!('default' in parameter) && !acceptsUndef(type)) required.push(name);
  }
  if (faults.count > before) return undefined;
  return {
    description: metadata.description ?? '',
    inputSchema: {
      type: 'object',
      // A task that does not list its parameters takes any.
      additionalProperties: parameters === undefined || parameters === null,
      properties: Object.fromEntries(properties),
      ...(required.length === 0 ? {} : { required }),
    },
    sensitive: Object.entries(parameters ?? {}).flatMap(([name, { sensitive }]) =>
      sensitive === true ? [name] : [],
    ),
    supportsDryRun: metadata.supports_noop ?? false,
    parameterInput: INPUTS[method ?? 'stdin'],
  };
}

/** Whether the key is there and says more than "none". */
function asksFor(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false;
  return !(Array.isArray(value) && value.length === 0);
}
