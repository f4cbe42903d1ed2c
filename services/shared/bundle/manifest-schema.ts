import { SCHEMA_DIALECT } from '../schema/schema-source.js';

const text = (maxLength: number): object => ({ type: 'string', minLength: 1, maxLength });
const flag = (description: string): object => ({ description, type: 'boolean', default: false });

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
  properties: {
    id: { description: 'ID of /etc/os-release, such as debian.', ...text(64) },
    version_min: { description: 'The oldest VERSION_ID that will do.', ...text(64) },
  },
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
    module_name: { description: 'Unique name of the bundle: lower-case words joined by "-".', ...text(64) },
    module_version: { description: 'Version of the bundle, SemVer 2.0.', ...text(64) },
    module_class: { description: 'What the bundle is for, such as remediation.', ...text(128) },
    description: { description: 'What the bundle holds, in one sentence.', ...text(1000) },
    library: {
      description: 'Path of a shell library inside the bundle, in place of the one that comes with RUNE.',
      ...text(256),
    },
    actions: {
      description: 'Directories of the actions inside the bundle, each with a manifest.yaml.',
      type: 'array',
      minItems: 1,
      maxItems: 200,
      uniqueItems: true,
      items: text(64),
    },
    configuration: {
      description: "Values of the actions' configuration, by action, over the defaults of its schema.",
      ...CONFIGURATIONS,
    },
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
    action: { description: 'Name of the action: lower-case words joined by "-".', ...text(64) },
    version: { description: 'Version of the action, SemVer 2.0.', ...text(64) },
    description: { description: 'What the action does, in one sentence.', ...text(1000) },
    protocol: {
      description:
        'How the plugin gets its parameters and how its answer is read: as a plugin of RUNE, as any program, as a monitoring plugin, or as a Puppet Bolt task.',
      enum: ['bpcs', 'raw', 'nagios', 'bolt'],
      default: 'bpcs',
    },
    entrypoint: { description: "The script, in the action's directory.", ...text(256) },
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
              add: {
                description: 'The arguments.',
                type: 'array',
                minItems: 1,
                maxItems: 100,
                items: ARGUMENT,
              },
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
    delivery: {
      description:
        'stream: Bash over standard input, and no file on the node; directory: a temporary directory with the script and its files, for any language.',
      enum: ['stream', 'directory'],
      default: 'stream',
    },
    // Known, so that detached is refused as what it is and not as a spelling mistake.
    mode: {
      description: 'attached: the plugin ends with its link to the mediator.',
      enum: ['attached', 'detached'],
      default: 'attached',
    },
    run_as: {
      description: 'The user of the node that the action must run as, such as root.',
      type: 'string',
    },
    risk: {
      description: 'What the action may do to a node; destructive ones have to be acknowledged.',
      enum: ['read_only', 'low', 'high', 'destructive'],
    },
    idempotent: flag('A second run does no harm, so that a run may be repeated.'),
    // Without a default, so that what the metadata of a task says is not hidden by it.
    supports_dry_run: {
      description: 'The plugin can say what it would do, and changes nothing then.',
      type: 'boolean',
    },
    leaves_processes: flag('Processes that are alive after the plugin are wanted.'),
    systemd_scope: flag(
      'The plugin runs in a scope of systemd of its own where the node gives it one, so that no process it starts can hide.',
    ),
    timeout_ms: {
      description: 'After so many milliseconds the plugin is stopped.',
      type: 'integer',
      minimum: 1000,
      maximum: 86_400_000,
      default: 60_000,
    },
    cooldown_ms: {
      description:
        'For so many milliseconds after a run of the action on a node, no other one starts there. Not for read_only actions.',
      type: 'integer',
      minimum: 0,
      maximum: 86_400_000,
      default: 0,
    },
    max_concurrent: {
      description:
        'So many runs of the action at most are under way at one time, wherever they were asked for; 0 for any number.',
      type: 'integer',
      minimum: 0,
      maximum: 10_000,
      default: 0,
    },
    files: {
      description:
        "Helper files: paths in the action's directory, or from the bundle's with a slash before them. With stream delivery they are Bash, evaluated before the script.",
      type: 'array',
      maxItems: 64,
      uniqueItems: true,
      items: text(256),
      default: [],
    },
    requires: {
      description:
        'What a node must have: commands, or commands and operating systems. Checked before the plugin starts.',
      anyOf: [
        COMMANDS,
        {
          type: 'object',
          additionalProperties: false,
          properties: {
            commands: { description: 'Commands by name or absolute path; all are needed.', ...COMMANDS },
            os: {
              description: 'Operating systems, of which one must fit.',
              type: 'array',
              maxItems: 16,
              items: OS,
            },
          },
        },
      ],
    },
    configuration_schema: {
      description:
        'JSON Schema 2020-12 of the configuration, which the plugin reads as context.configuration.',
      type: 'object',
    },
    input_schema: { description: 'JSON Schema 2020-12 of the parameters.', type: 'object' },
    output_schema: { description: 'JSON Schema 2020-12 of the output.', type: 'object' },
    examples: {
      description: 'Calls that work, shown to users and run by rune plugin test.',
      type: 'array',
      maxItems: 20,
      default: [],
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['description', 'params'],
        properties: {
          description: { description: 'What the example shows.', ...text(1000) },
          params: { description: 'Its parameters.', type: 'object' },
          output: { description: 'The output, or a part of it.', type: 'object' },
        },
      },
    },
  },
};
