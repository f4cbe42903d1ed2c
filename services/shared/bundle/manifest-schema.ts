import { SCHEMA_DIALECT } from '../schema-source.js';

const text = (maxLength: number): object => ({ type: 'string', minLength: 1, maxLength });
const flag = { type: 'boolean', default: false };

/** Shape of a bundle's bundle.yaml. */
export const BUNDLE_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  required: ['module_name', 'module_version', 'module_class', 'description', 'library', 'actions'],
  properties: {
    module_name: text(64),
    module_version: text(64),
    module_class: text(128),
    description: text(1000),
    library: text(256),
    actions: { type: 'array', minItems: 1, maxItems: 200, uniqueItems: true, items: text(64) },
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
