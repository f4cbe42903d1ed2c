import { SCHEMA_DIALECT } from '../../../shared/schema/schema-source.js';

const text = (maxLength: number, description: string): object => ({
  type: 'string',
  minLength: 1,
  maxLength,
  description,
});
const flag = (description: string): object => ({ type: 'boolean', default: false, description });
const duration = (description: string): object => ({
  type: 'string',
  pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$',
  description,
});

const EXPECT = {
  type: 'object',
  additionalProperties: false,
  description:
    'What must come of it. What is left out is not looked at, except that nothing may be left behind.',
  default: {},
  properties: {
    state: {
      enum: ['succeeded', 'failed', 'timed_out'],
      description: 'How the run ends; succeeded by default.',
    },
    error: text(64, 'Name of the failure, such as PLUGIN_FAILED; see docs/errors.md.'),
    message: text(4096, "Text that the failure's message holds."),
    exit_code: { type: 'integer', minimum: 0, maximum: 255, description: 'Exit code of the plugin.' },
    output: {
      type: 'object',
      description:
        'A part of the output: every key that is given must be there with this value, at every depth.',
    },
    log: {
      type: 'array',
      maxItems: 100,
      items: text(4096, 'Text that the log of the run holds.'),
      default: [],
      description: 'Texts that the log of the run holds, each within one line.',
    },
    within: duration('The longest time the plugin may take, such as 500ms or 10s; then it is stopped.'),
    left_processes: {
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000,
      description: 'Processes that are alive after the plugin; none by default.',
    },
    leaves_files: flag('Files in the temporary directory may stay behind.'),
  },
};

const CASE = {
  type: 'object',
  additionalProperties: false,
  required: ['name'],
  properties: {
    name: text(200, 'What is shown, and what --case takes.'),
    example: text(1000, "The description of one of the manifest's examples, whose parameters are taken."),
    params: { type: 'object', description: 'The parameters.' },
    dry_run: flag('Run it as a dry run.'),
    allow_changes: flag('Run it although it changes this machine.'),
    configuration: { type: 'object', description: "Values over the bundle's configuration of the action." },
    vars: { type: 'object', description: 'What the plugin reads as context.node_vars.' },
    timeout: duration("How long the run may take; the action's own timeout by default."),
    skip: text(1000, 'Why the case is left out for now.'),
    expect: EXPECT,
  },
};

/** Shape of an action's tests.yaml. */
export const TESTS_SCHEMA: object = {
  $schema: SCHEMA_DIALECT,
  type: 'object',
  additionalProperties: false,
  properties: {
    examples: {
      enum: ['exact', 'shape', 'skip'],
      default: 'shape',
      description:
        "What the manifest's examples say of the output: its values, only its keys and their types, or nothing and they are not run.",
    },
    allow_changes: flag('Run everything although it changes this machine.'),
    cases: {
      type: 'array',
      maxItems: 200,
      items: CASE,
      default: [],
      description: 'The cases, in their order.',
    },
  },
};
