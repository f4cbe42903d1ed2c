import { PluginProtocol } from '../gen/rune/v1/mrs.js';

const EXIT_CODE = { type: 'integer', description: 'Absent if it was killed by a signal.' };
const text = (description: string): object => ({ type: 'string', description });

const RAW = {
  type: 'object',
  additionalProperties: false,
  required: ['stdout', 'stderr'],
  properties: {
    stdout: text('What it printed; bytes that are not UTF-8 are U+FFFD.'),
    stderr: text('What it printed on standard error, from its start.'),
    stderr_truncated: { type: 'boolean', description: 'Given and true if stderr is not all of it.' },
    exit_code: EXIT_CODE,
  },
};

const NAGIOS = {
  type: 'object',
  additionalProperties: false,
  required: ['status', 'text', 'long_text', 'performance_data'],
  properties: {
    status: { enum: ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'], description: 'What the check found.' },
    exit_code: EXIT_CODE,
    text: text('The first line, without performance data.'),
    long_text: text('Further lines, without performance data.'),
    performance_data: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['label', 'value', 'unit'],
        properties: {
          label: { type: 'string' },
          value: { type: ['number', 'null'], description: 'Null if the check could not tell.' },
          unit: text('Such as s, ms, %, B, MB or c; empty for a plain number.'),
          warning: text('Threshold, as the check wrote it: 5, 10:20, @1:2.'),
          critical: text('Threshold, as the check wrote it.'),
          minimum: { type: 'number' },
          maximum: { type: 'number' },
        },
      },
    },
    performance_data_unread: text('What stood among the performance data and is none.'),
  },
};

/** JSON Schema of the result where an action has no output_schema of its own; undefined for BPCS, which needs one. */
export const PROTOCOL_OUTPUT_SCHEMA: Readonly<Partial<Record<PluginProtocol, Record<string, unknown>>>> = {
  [PluginProtocol.RAW]: RAW,
  [PluginProtocol.NAGIOS]: NAGIOS,
  [PluginProtocol.BOLT]: { type: 'object' },
};
