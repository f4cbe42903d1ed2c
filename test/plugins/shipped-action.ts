import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { runWithLibrary, testBash, type BashChanges } from '../support/bash.js';
import { bpcsAnswer, bpcsInput, type BpcsAnswer } from './bpcs-document.js';
import { manifestOf, validatorOf } from './shipped-manifest.js';

/** How a shipped action ended. */
export interface ActionEnding {
  readonly exitCode: number | null;
  /** output_data; {} after an error. It fits the output schema. */
  readonly output: Record<string, unknown>;
  readonly error: BpcsAnswer['error'];
  /** What the progress events said, in their order. */
  readonly progress: readonly string[];
  /** What else was on stderr. */
  readonly stderr: string;
}

/** How an action is run; without anything, without parameters and not dry. */
export interface ActionRun extends BashChanges {
  readonly params?: object;
  readonly dryRun?: boolean;
  /** What the operator sets of the action's configuration; the rest has its defaults. */
  readonly configuration?: object;
  /** Skips the schemas of parameters and configuration, to see what the script does by itself. */
  readonly unchecked?: boolean;
}

/** What is wrong with parameters by an action's input schema; fills its defaults into them. */
export function paramsFaults(action: string, params: object): object[] {
  return validatorOf(action, 'input').validate(params);
}

/** The configuration that a run of the action gets where the operator sets this of it. Fails when the schema refuses it. */
export function configurationOf(action: string, operators: object = {}): object {
  const configuration = { ...operators };
  assert.deepEqual(validatorOf(action, 'configuration').validate(configuration), []);
  return configuration;
}

/** Text of a shipped action's script. */
export const scriptOf = (action: string): string =>
  readFileSync(join(packageRoot, 'plugins', action, 'plugin.sh'), 'utf8');

/** Texts of the helper scripts that a shipped action shares with others. */
export const helpersOf = (action: string): string[] =>
  (manifestOf(action).files ?? []).map((path) => readFileSync(join(packageRoot, 'plugins', path), 'utf8'));

/**
 * Runs a shipped action in `stream` delivery as the mediator would: the parameters are checked and completed by the input schema.
 * Fails unless the answer keeps to the protocol and its output to the output schema.
 */
export async function runShippedAction(action: string, run: ActionRun = {}): Promise<ActionEnding> {
  const { params = {}, dryRun = false, unchecked = false, configuration, ...changes } = run;
  const complete = { ...params };
  if (!unchecked) assert.deepEqual(paramsFaults(action, complete), []);
  const input = bpcsInput(complete, {
    dry_run: dryRun,
    configuration: unchecked ? configuration : configurationOf(action, configuration),
  });
  const ending = await runWithLibrary(scriptOf(action), { ...changes, input }, helpersOf(action));
  const answer = bpcsAnswer(ending);
  const output = answer.payload?.output_data ?? {};
  if (answer.error === null) {
    assert.equal(answer.payload?.result, dryRun ? 'dry_run' : 'success');
    assert.deepEqual(validatorOf(action, 'output').validate(output), []);
    assert.equal(ending.exitCode, 0);
  } else {
    assert.equal(answer.payload, null);
    assert.equal(ending.exitCode, answer.error.code);
  }
  const lines = ending.stderr.split('\n').slice(0, -1);
  const events = lines
    .filter((line) => line.startsWith('\x1eRUNE '))
    .map((line) => JSON.parse(line.slice(6)) as { type: string; message: string });
  return {
    exitCode: ending.exitCode,
    output,
    error: answer.error,
    progress: events.filter(({ type }) => type === 'progress').map(({ message }) => message),
    stderr: lines.filter((line) => !line.startsWith('\x1eRUNE {"type":"progress"')).join('\n'),
  };
}

/** Runs an action that must succeed without a word on stderr, and resolves with its output_data. */
export async function outputOfAction(
  action: string,
  params: object,
  changes: BashChanges = {},
): Promise<Record<string, unknown>> {
  const { error, output, stderr } = await runShippedAction(action, { ...changes, params });
  assert.equal(error, null);
  assert.equal(stderr, '');
  return output;
}

/** Runs an action that must fail without a word on stderr, whatever its schema says, and resolves with its error. */
export async function errorOfAction(
  action: string,
  params: object,
  changes: BashChanges = {},
): Promise<NonNullable<BpcsAnswer['error']>> {
  const { error, stderr } = await runShippedAction(action, { ...changes, params, unchecked: true });
  assert.ok(error !== null);
  assert.equal(stderr, '');
  return error;
}

/** Whether an action's input schema lets these parameters in. */
export const acceptsParams = (action: string, params: object): boolean =>
  paramsFaults(action, structuredClone(params)).length === 0;

/** Makes a directory that holds bash and these tools of this machine and nothing else, to be the whole PATH. */
export async function makeToolPath(directory: string, tools: readonly string[]): Promise<string> {
  await mkdir(directory, { recursive: true });
  const places = (process.env['PATH'] ?? '').split(delimiter);
  for (const tool of new Set(['bash', ...tools])) {
    const found = places.map((place) => join(place, tool)).find((path) => existsSync(path));
    const target = tool === 'bash' && testBash.startsWith('/') ? testBash : found;
    assert.ok(target !== undefined, `This test needs ${tool}.`);
    await symlink(target, join(directory, tool));
  }
  return directory;
}
