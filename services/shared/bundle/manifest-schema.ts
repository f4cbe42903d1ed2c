import { SCHEMA_DIALECT } from '../schema-source.js';

const text = (maxLength: number): object => ({ type: 'string', minLength: 1, maxLength });
const flag = { type: 'boolean', default: false };

/** Configurations by action: what a bundle.yaml and an inventory may give. */
export const CONFIGURATIONS = {
  type: 'object',
  maxProperties: 200,
  additionalProperties: { type: 'object' },
};

const OS = {
  type: 'object',
  additionalProperties: false,
  required: ['id'],
  properties: { id: text(64), version_min: text(64) },
};
/** Commands that an action may require. */
export const COMMANDS_MAX = 64;
const COMMANDS = { type: 'array', maxItems: COMMANDS_MAX, uniqueItems: true, items: text(256) };

/** Shape of a bundle's bundle.yaml. */
export const BUNDLE_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  required: ['module_name', 'module_version', 'module_class', 'description', 'actions'],
  properties: {
    module_name: text(64),
    module_version: text(64),
    module_class: text(128),
    description: text(1000),
    library: text(256),
    actions: { type: 'array', minItems: 1, maxItems: 200, uniqueItems: true, items: text(64) },
    configuration: CONFIGURATIONS,
  },
};

/** Objects that have these keys, and whose other keys fit. */
const having = (keys: readonly string[], other: object = {}): object => ({
  required: keys,
  properties: { ...Object.fromEntries(keys.map((key) => [key, true])), ...other },
});

const ARGUMENT = { type: 'string', maxLength: 4096 };

/** Shape of an action's manifest.yaml. */
export const MANIFEST_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  required: ['action', 'version', 'risk'],
  allOf: [
    { if: having(['command']), else: having(['entrypoint']) },
    { if: having([], { protocol: { const: 'bpcs' } }), then: having(['output_schema']) },
    {
      if: having(['bolt_metadata'], { protocol: { const: 'bolt' } }),
      else: having(['description', 'input_schema']),
    },
  ],
  properties: {
    action: text(64),
    version: text(64),
    description: text(1000),
    protocol: {
      description:
        'How the plugin gets its parameters and how its answer is read: as a plugin of RUNE, as any program, as a monitoring plugin, or as a Puppet Bolt task.',
      enum: ['bpcs', 'raw', 'nagios', 'bolt'],
      default: 'bpcs',
    },
    entrypoint: text(256),
    command: {
      description:
        'For raw and nagios, in place of entrypoint: a program that the node has, by its absolute path or by its name in PATH.',
      ...text(256),
    },
    arguments: {
      description:
        'For raw and nagios: the arguments of the program. {name} stands for the value of a parameter, "{{" for a brace.',
      type: 'array',
      maxItems: 100,
      default: [],
      items: {
        anyOf: [
          ARGUMENT,
          {
            type: 'object',
            additionalProperties: false,
            required: ['if', 'add'],
            properties: {
              if: {
                description:
                  'A parameter: `add` is added if it is given, and is neither false nor an empty list.',
                ...text(64),
              },
              add: { type: 'array', minItems: 1, maxItems: 100, items: ARGUMENT },
            },
          },
        ],
      },
    },
    bolt_metadata: {
      description:
        "For bolt: the task's metadata file in the directory of the action. Description, input_schema and supports_dry_run come from it where the manifest does not give them.",
      ...text(256),
    },
    delivery: { enum: ['stream', 'directory'], default: 'stream' },
    // Known, so that they are refused as what they are and not as spelling mistakes.
    mode: { enum: ['attached', 'detached'], default: 'attached' },
    run_as: true,
    risk: { enum: ['read_only', 'low', 'high', 'destructive'] },
    idempotent: flag,
    // Without a default, so that what the metadata of a task says is not hidden by it.
    supports_dry_run: { type: 'boolean' },
    leaves_processes: flag,
    timeout_ms: { type: 'integer', minimum: 1000, maximum: 86_400_000, default: 60_000 },
    files: { type: 'array', maxItems: 64, uniqueItems: true, items: text(256), default: [] },
    requires: {
      anyOf: [
        COMMANDS,
        {
          type: 'object',
          additionalProperties: false,
          properties: { commands: COMMANDS, os: { type: 'array', maxItems: 16, items: OS } },
        },
      ],
    },
    configuration_schema: { type: 'object' },
    input_schema: { type: 'object' },
    output_schema: { type: 'object' },
    examples: {
      type: 'array',
      maxItems: 20,
      default: [],
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['description', 'params'],
        properties: {
          description: text(1000),
          params: { type: 'object' },
          output: { type: 'object' },
        },
      },
    },
  },
};
