import type { Readable } from 'node:stream';
import { RuneError } from '../../shared/errors.js';
import { readFileBounded, readStreamBounded } from '../read-bounded.js';
import { checkType, convertValue, isSecret, requireKnown } from './convert-value.js';
import type { ParamAssignment } from './parse-assignment.js';

/** The service takes no more than this in all, so nothing larger is read. */
const PARAMS_BYTES_MAX = 1024 * 1024;
/** YAML aliases that may be followed, so that a small file cannot become a huge value. */
const YAML_ALIASES_MAX = 100;

/** What `collectParams` needs. */
export interface ParamSources {
  readonly assignments: readonly ParamAssignment[];
  /** File of `--params-file`, `-` for stdin. */
  readonly paramsFile?: string | undefined;
  readonly stdin: Readable;
  readonly signal: AbortSignal;
  /** Name of the action, for messages. */
  readonly action: string;
  /** The action's input schema; asked for only if there is a `--param`. */
  inputSchema(): Promise<unknown>;
  warn(message: string): Promise<void>;
}

function parseJson(text: string, flag: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the text, which may be a secret.
    throw new RuneError('COMMAND_INVALID', `${flag}: not valid JSON.`, {}, { cause: error });
  }
}

async function parseYaml(text: string, flag: string): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    return parse(text, { maxAliasCount: YAML_ALIASES_MAX, prettyErrors: false });
  } catch (error) {
    throw new RuneError('COMMAND_INVALID', `${flag}: not valid YAML.`, {}, { cause: error });
  }
}

function read(path: string, flag: string, { stdin, signal }: ParamSources): Promise<string> {
  return path === '-'
    ? readStreamBounded(stdin, PARAMS_BYTES_MAX, flag, signal)
    : readFileBounded(path, PARAMS_BYTES_MAX, flag, signal);
}

async function fromFile(sources: ParamSources): Promise<[string, unknown][]> {
  const path = sources.paramsFile;
  if (path === undefined) return [];
  const flag = `--params-file ${path}`;
  const text = await read(path, flag, sources);
  const value = /\.ya?ml$/i.test(path) ? await parseYaml(text, flag) : parseJson(text, flag);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RuneError('COMMAND_INVALID', `${flag}: must hold one object of parameters.`);
  }
  return Object.entries(value);
}

async function valueOf({ key, kind, value }: ParamAssignment, sources: ParamSources): Promise<unknown> {
  const { action } = sources;
  const json = kind === 'json' ? parseJson(value, `--param ${key}`) : undefined;
  const schema = await sources.inputSchema();
  requireKnown(schema, key, action);
  if (kind === 'json') return checkType(schema, key, json, { action, shown: value });
  if (kind === 'file') {
    const text = await read(value, `--param ${key}=@${value}`, sources);
    return convertValue(schema, key, text.replace(/\r?\n$/, ''), { action, shown: `@${value}` });
  }
  if (isSecret(schema, key)) {
    await sources.warn(
      `warning: ${key} is a secret, and other people on this machine can read it in the process list; ` +
        `give it as ${key}=@FILE or ${key}=@-`,
    );
  }
  return convertValue(schema, key, value, { action, shown: value });
}

/**
 * The parameters of a run: those of `--params-file`, then every `--param` over them. Throws COMMAND_INVALID naming the flag for
 * what cannot be read or converted, a parameter given twice, and stdin read twice.
 */
export async function collectParams(sources: ParamSources): Promise<Record<string, unknown>> {
  const { assignments, paramsFile } = sources;
  const fromStdin = assignments.filter(({ kind, value }) => kind === 'file' && value === '-').length;
  if (fromStdin + (paramsFile === '-' ? 1 : 0) > 1) {
    throw new RuneError(
      'COMMAND_INVALID',
      'Standard input can be read for one parameter or for --params-file, not for two.',
    );
  }
  const params = new Map(await fromFile(sources));
  const seen = new Set<string>();
  for (const assignment of assignments) {
    if (seen.has(assignment.key))
      throw new RuneError('COMMAND_INVALID', `--param ${assignment.key} is given twice.`);
    seen.add(assignment.key);
    params.set(assignment.key, await valueOf(assignment, sources));
  }
  return Object.fromEntries(params);
}
