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
const COMMANDS = { type: 'array', maxItems: 64, uniqueItems: true, items: text(256) };

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

/** Shape of an action's manifest.yaml. */
export const MANIFEST_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  required: ['action', 'version', 'description', 'entrypoint', 'risk', 'input_schema', 'output_schema'],
  properties: {
    action: text(64),
    version: text(64),
    description: text(1000),
    entrypoint: text(256),
    delivery: { enum: ['stream', 'directory'], default: 'stream' },
    // Known, so that they are refused as what they are and not as spelling mistakes.
    mode: { enum: ['attached', 'detached'], default: 'attached' },
    run_as: true,
    risk: { enum: ['read_only', 'low', 'high', 'destructive'] },
    idempotent: flag,
    supports_dry_run: flag,
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
