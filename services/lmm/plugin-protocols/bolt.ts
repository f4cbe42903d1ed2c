import { ParameterInput, type MediateStart } from '../../shared/gen/rune/v1/lmm.js';
import { jsonMember } from '../json-span.js';
import { refuseField } from '../refuse-field.js';
import { RuneError } from '../../shared/errors.js';
import { isObject, parsedJson, type PluginProtocol } from './plugin-protocol.js';
import { programAnswer, programError } from './program.js';

/** Parameters that become variables, as JSON. */
const VARIABLES_BYTES_MAX = 64 * 1024;
const PREFIX = 'PT_';
const NAME = /^[A-Za-z0-9_]+$/;

/** A Puppet Bolt task: parameters on stdin, as PT_* variables or both; the JSON object that it prints is the result. */
export const BOLT: PluginProtocol = {
  stderrBytesMax: 0,

  input(start) {
    if (start.plugin?.parameterInput === ParameterInput.ENVIRONMENT) return Buffer.alloc(0);
    const params = paramsText(start).trim().slice(1, -1).trim();
    // Behind the parameters: of a name that stands there twice, the last counts.
    const own = JSON.stringify(ownParameters(start)).slice(1);
    return Buffer.from(`{${params}${params === '' ? '' : ','}${own}`);
  },

  environment(start) {
    const input = start.plugin?.parameterInput;
    if (input !== ParameterInput.ENVIRONMENT && input !== ParameterInput.BOTH) return {};
    if (start.paramsJson.length > VARIABLES_BYTES_MAX) {
      refuseField(
        'params_json',
        'The parameters are too large for variables.',
        `at most ${VARIABLES_BYTES_MAX} bytes`,
      );
    }
    const given = JSON.parse(paramsText(start)) as Record<string, unknown>;
    const variables: [string, string][] = [];
    for (const [name, value] of Object.entries({ ...given, ...ownParameters(start) })) {
      if (!NAME.test(name))
        refuseField('params_json', 'A parameter cannot be a variable.', 'letters, digits and "_"');
      variables.push([PREFIX + name, typeof value === 'string' ? value : JSON.stringify(value)]);
    }
    return Object.fromEntries(variables);
  },

  decode({ stdout, end, dryRunAsked }) {
    const printed = stdout.toString();
    const value = parsedJson(printed)?.value;
    const failed = 'exitCode' in end && end.exitCode !== 0;
    const failure = failed ? `The task ended with exit code ${end.exitCode}.` : undefined;
    if (!isObject(value)) {
      return { ...programAnswer({ _output: printed }, end, failure), dryRun: dryRunAsked };
    }
    return {
      output: { json: printed.trim(), value },
      dryRun: dryRunAsked,
      error: reportedError(value, printed) ?? programError(end, failure),
    };
  },
};

function paramsText({ paramsJson }: MediateStart): string {
  return paramsJson.length === 0 ? '{}' : paramsJson.toString();
}

/** What a task is told besides its parameters. */
function ownParameters({ action, context }: MediateStart): Readonly<Record<string, string | boolean>> {
  return { ...(context?.dryRun === true ? { _noop: true } : {}), _task: action };
}

/** The failure that a task reports in its result, whatever its exit code. */
function reportedError(value: Record<string, unknown>, printed: string): RuneError | undefined {
  const error = Object.hasOwn(value, '_error') ? value['_error'] : undefined;
  if (error === undefined || error === null) return undefined;
  const { kind, msg, details } = isObject(error)
    ? error
    : { kind: undefined, msg: error, details: undefined };
  const said =
    typeof msg === 'string' && msg !== '' ? msg : 'The task reports an error and gives no message.';
  return new RuneError('PLUGIN_FAILED', said.slice(0, 1000), {
    ...(typeof kind === 'string' ? { reason: kind } : {}),
    ...(details === undefined || details === null
      ? {}
      : { pluginDetailsJson: jsonMember(printed, ['_error', 'details']) ?? '' }),
  });
}
