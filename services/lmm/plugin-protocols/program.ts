import { RuneError } from '../../shared/errors.js';
import type { PluginEnd } from '../transports/transport.js';
import type { PluginAnswer } from './plugin-protocol.js';

const MESSAGE_LENGTH_MAX = 1000;

/** A program that knows nothing of RUNE gets neither input nor variables. */
export const NO_INPUT = {
  input: () => Buffer.alloc(0),
  environment: () => ({}),
} as const;

/** The exit code, if the program had one. */
export function exitCodeOf(end: PluginEnd): { readonly exit_code?: number } {
  return 'signal' in end ? {} : { exit_code: end.exitCode };
}

/** An answer whose result is this value; with `failure`, a failure that says so, and in any case one after a signal. */
export function programAnswer(
  value: Record<string, unknown>,
  end: PluginEnd,
  failure: string | undefined,
): PluginAnswer {
  return { output: { json: JSON.stringify(value), value }, dryRun: false, error: programError(end, failure) };
}

/** PLUGIN_KILLED after a signal, PLUGIN_FAILED with the text of the failure, undefined for success. */
export function programError(end: PluginEnd, failure: string | undefined): RuneError | undefined {
  if ('signal' in end) {
    return new RuneError('PLUGIN_KILLED', `The plugin was killed by SIG${end.signal}.`);
  }
  return failure === undefined
    ? undefined
    : new RuneError('PLUGIN_FAILED', failure.slice(0, MESSAGE_LENGTH_MAX));
}
