import { isUtf8 } from 'node:buffer';
import type { MediateStart } from '../../shared/gen/rune/v1/lmm.js';
import type { RcsHeader } from '../../shared/gen/rune/v1/rcs.js';
import { RuneError, type ErrorName } from '../../shared/errors.js';
import { jsonMember, jsonValueEnd } from '../json-span.js';
import {
  isObject,
  parsedJson,
  violation,
  type PluginAnswer,
  type PluginProtocol,
  type PluginRecord,
} from './plugin-protocol.js';

const MESSAGE_LENGTH_MAX = 1000;

/** The document that the plugin reads on stdin: params, node_vars and configuration are put in as they came. */
function pluginInput(start: MediateStart, header: RcsHeader): Buffer {
  const context = start.context;
  const metadata = header.messageMetadata;
  const known = {
    node: start.target?.name ?? '',
    action: start.action,
    execution_id: start.executionId,
    run_id: start.runId,
    attempt: start.attempt,
    dry_run: context?.dryRun ?? false,
    triggered_by: context?.triggeredBy ?? '',
    reason: context?.reason ?? '',
    node_labels: context?.nodeLabels ?? {},
  };
  const messageMetadata = {
    version: '1.0',
    message_id: metadata?.messageId ?? '',
    correlation_id: metadata?.correlationId ?? '',
    created_at: (metadata?.createdAt ?? new Date()).toISOString(),
  };
  const observability = {
    trace_id: header.observability?.traceId ?? '',
    span_id: header.observability?.spanId ?? '',
  };
  const vars = objectText(context?.nodeVarsJson);
  const configuration = objectText(context?.configurationJson);
  const params = objectText(start.paramsJson);
  return Buffer.from(
    `{"message_metadata":${JSON.stringify(messageMetadata)},"payload":{"input_parameters":${params},` +
      `"context":${JSON.stringify(known).slice(0, -1)},"node_vars":${vars},"configuration":${configuration}}},"observability":${JSON.stringify(observability)}}`,
  );
}

function objectText(json: Buffer | undefined): string {
  return json === undefined || json.length === 0 ? '{}' : json.toString();
}

const FAILURE_BY_EXIT_CODE: Readonly<Record<number, ErrorName>> = {
  1: 'PLUGIN_REFUSED_INPUT',
  2: 'PLUGIN_DEPENDENCY_MISSING',
  3: 'PLUGIN_FAILED',
  4: 'PLUGIN_MISCONFIGURED',
  100: 'PLUGIN_CRASHED',
};

function reportedFailure(
  exitCode: number,
  error: Record<string, unknown>,
  detailsJson: string | undefined,
  output: PluginAnswer['output'],
): PluginAnswer {
  const name = FAILURE_BY_EXIT_CODE[exitCode] ?? 'PLUGIN_FAILED';
  const said =
    typeof error.message === 'string' && error.message !== '' ? error.message : 'It gave no message.';
  const code = error.code;
  return {
    output,
    dryRun: false,
    error: new RuneError(name, said.slice(0, MESSAGE_LENGTH_MAX), {
      ...(typeof code === 'number' && Number.isInteger(code) && Math.abs(code) < 2 ** 31
        ? { pluginCode: code }
        : {}),
      ...(detailsJson === undefined ? {} : { pluginDetailsJson: detailsJson }),
    }),
  };
}

/**
 * Decides what a plugin's standard output and its end mean together. Reading is liberal where nothing is lost by it;
 * a contradiction is an error of its own that keeps what was printed as evidence.
 */
function decodeAnswer({ stdout, end, dryRunAsked }: PluginRecord): PluginAnswer {
  if ('signal' in end)
    return violation('PLUGIN_KILLED', `The plugin was killed by SIG${end.signal}.`, stdout);
  const { exitCode } = end;
  if (!isUtf8(stdout))
    return violation('OUTPUT_NOT_UTF8', 'The plugin printed bytes that are not UTF-8.', stdout);
  const text = stdout.toString().trim();
  if (text === '') {
    return exitCode === 0
      ? violation('OUTPUT_MISSING', 'The plugin ended with exit code 0 and printed no result.', stdout)
      : violation(
          'PLUGIN_CRASHED',
          `The plugin ended with exit code ${exitCode} and printed no answer.`,
          stdout,
        );
  }
  const whole = parsedJson(text);
  if (whole === undefined) {
    const end = jsonValueEnd(text, 0);
    return parsedJson(text.slice(0, end)) !== undefined && text.slice(end).trim() !== ''
      ? violation('OUTPUT_NOT_ALONE', 'The plugin printed something after its result.', stdout)
      : violation('OUTPUT_NOT_JSON', 'What the plugin printed is not JSON.', stdout);
  }
  const answer = whole.value;
  if (!isObject(answer)) {
    return violation('OUTPUT_NOT_AN_OBJECT', 'The plugin printed JSON that is not an object.', stdout);
  }
  const payload = answer.payload ?? null;
  const error = answer.error ?? null;
  if (payload !== null && !isObject(payload)) {
    return violation('OUTPUT_MALFORMED', 'The payload of the answer is not an object.', stdout);
  }
  if (error !== null && !isObject(error)) {
    return violation('OUTPUT_MALFORMED', 'The error of the answer is not an object.', stdout);
  }
  const data = payload?.output_data ?? {};
  if (!isObject(data))
    return violation('OUTPUT_MALFORMED', 'output_data of the answer is not an object.', stdout);
  const printed = jsonMember(text, ['payload', 'output_data']);
  const output =
    payload === null
      ? undefined
      : { json: printed === undefined || printed === 'null' ? '{}' : printed, value: data };
  const result = payload?.result;

  if (exitCode !== 0) {
    // As printed: a value may be nested deeper than it can be written again.
    const details = (...path: string[]): string | undefined =>
      jsonMember(text, [...path, 'details']) ?? jsonMember(text, [...path, 'data']);
    if (error !== null) return reportedFailure(exitCode, error, details('error'), output);
    if (result === 'failure') {
      return reportedFailure(exitCode, data, details('payload', 'output_data'), output);
    }
    return violation(
      'OUTPUT_CONTRADICTS_EXIT',
      `The plugin ended with exit code ${exitCode} and reported no error.`,
      stdout,
    );
  }
  if (error !== null || result === 'failure') {
    return violation(
      'OUTPUT_CONTRADICTS_EXIT',
      'The plugin ended with exit code 0 and reported a failure.',
      stdout,
    );
  }
  if (result !== 'success' && result !== 'dry_run') {
    return violation('OUTPUT_MALFORMED', 'payload.result is none of success, failure and dry_run.', stdout);
  }
  if (dryRunAsked && result === 'success') {
    return violation(
      'DRY_RUN_NOT_HONOURED',
      'The plugin was asked for a dry run and answered success.',
      stdout,
    );
  }
  if (!dryRunAsked && result === 'dry_run') {
    return violation('OUTPUT_MALFORMED', 'The plugin answered dry_run and was not asked for one.', stdout);
  }
  return { output, dryRun: result === 'dry_run', error: undefined };
}

/** RUNE's own protocol: one JSON document in, one out. */
export const BPCS: PluginProtocol = {
  stderrBytesMax: 0,
  input: pluginInput,
  environment: () => ({}),
  decode: decodeAnswer,
};
