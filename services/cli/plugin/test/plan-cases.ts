import type { Action } from '../../../shared/bundle/action.js';
import { type ActionExample, Risk } from '../../../shared/gen/rune/v1/mrs.js';
import { RunState } from '../../../shared/gen/rune/v1/run.js';
import { parseDuration } from '../../config/parse-duration.js';
import type { CaseYaml, ExpectYaml, TestsYaml } from './read-tests.js';

/** What must come of a case; what is undefined is not looked at. */
export interface Expected {
  readonly state: RunState | undefined;
  readonly error: string | undefined;
  readonly message: string | undefined;
  readonly exitCode: number | undefined;
  /** `shape`: keys and types only. */
  readonly output: { readonly value: unknown; readonly compare: 'exact' | 'shape' } | undefined;
  readonly log: readonly string[];
  readonly withinMs: number | undefined;
  readonly leftProcesses: number | undefined;
  readonly leavesFiles: boolean;
}

/** One run of an action, and what must come of it. */
export interface TestCase {
  readonly action: string;
  readonly version: string;
  readonly name: string;
  /** From the manifest: a machine that lacks what the action needs cannot run it, which is no fault. */
  readonly isExample: boolean;
  /** Why it is left out; undefined if it is not. */
  readonly skip: string | undefined;
  readonly params: Readonly<Record<string, unknown>>;
  readonly dryRun: boolean;
  readonly configuration: Readonly<Record<string, unknown>> | undefined;
  readonly vars: Readonly<Record<string, unknown>> | undefined;
  readonly timeoutMs: number | undefined;
  readonly expected: Expected;
}

const STATES = { succeeded: RunState.SUCCEEDED, failed: RunState.FAILED, timed_out: RunState.TIMED_OUT };

const milliseconds = (text: string | undefined, key: string): number | undefined =>
  text === undefined ? undefined : parseDuration(text, key);

function expectedOf(expect: ExpectYaml, leavesProcesses: boolean): Expected {
  const { state, error, output } = expect;
  const byDefault = error === undefined ? RunState.SUCCEEDED : undefined;
  return {
    state: state === undefined ? byDefault : STATES[state],
    error,
    message: expect.message,
    exitCode: expect.exit_code,
    output: output === undefined ? undefined : { value: output, compare: 'exact' },
    log: expect.log,
    withinMs: milliseconds(expect.within, 'within'),
    leftProcesses: expect.left_processes ?? (leavesProcesses ? undefined : 0),
    leavesFiles: expect.leaves_files,
  };
}

function ofExample(
  { capability }: Action,
  { description, params, output }: ActionExample,
  mode: 'exact' | 'shape',
  allowChanges: boolean,
): TestCase {
  const isKept = capability.risk === Risk.READ_ONLY || allowChanges;
  const dryRun = !isKept && capability.supportsDryRun;
  const skip = 'it changes this machine and has no dry run; --allow-changes runs it';
  // A dry run may say other things than the run that the example shows.
  const compared = output === undefined || dryRun ? undefined : { value: output, compare: mode };
  return {
    action: capability.action,
    version: capability.version,
    name: `example: ${description}`,
    isExample: true,
    skip: isKept || dryRun ? undefined : skip,
    params: params ?? {},
    dryRun,
    configuration: undefined,
    vars: undefined,
    timeoutMs: undefined,
    expected: {
      ...expectedOf({ log: [], leaves_files: false }, capability.leavesProcesses),
      output: compared,
    },
  };
}

function ofCase({ capability }: Action, one: CaseYaml): TestCase {
  const example = capability.examples.find(({ description }) => description === one.example);
  return {
    action: capability.action,
    version: capability.version,
    name: one.name,
    isExample: false,
    skip: one.skip,
    params: one.params ?? example?.params ?? {},
    dryRun: one.dry_run,
    configuration: one.configuration,
    vars: one.vars,
    timeoutMs: milliseconds(one.timeout, 'timeout'),
    expected: expectedOf(one.expect, capability.leavesProcesses),
  };
}

/**
 * The cases of an action: its manifest's examples, except those that a case of tests.yaml takes over, then the cases.
 * Without `allowChanges` examples of an action that changes nodes are run dry, or left out where they cannot be.
 */
export function planCases(action: Action, tests: TestsYaml, allowChanges: boolean): TestCase[] {
  const taken = new Set(tests.cases.map(({ example }) => example));
  const { examples: mode } = tests;
  const examples =
    mode === 'skip'
      ? []
      : action.capability.examples
          .filter(({ description }) => !taken.has(description))
          .map((example) => ofExample(action, example, mode, allowChanges || tests.allow_changes));
  return [...examples, ...tests.cases.map((one) => ofCase(action, one))];
}
