import { join } from 'node:path';
import type { Action } from '../../../shared/bundle/action.js';
import { YAML_BYTES_MAX } from '../../../shared/bundle/bundle-files.js';
import { checkFileShape } from '../../../shared/bundle/check-file-shape.js';
import { ERRORS } from '../../../shared/errors.js';
import { quoted } from '../../../shared/fault.js';
import type { FileFaults } from '../../../shared/files/file-faults.js';
import { Risk } from '../../../shared/gen/rune/v1/mrs.js';
import { createSchemaCompiler } from '../../../shared/schema/schema.js';
import { readSourceFile } from '../../../shared/files/source-file.js';
import { didYouMean } from '../../../shared/suggest.js';
import { readYaml, type YamlSource } from '../../../shared/files/yaml-source.js';
import type { OpenPlugin } from '../open-plugin.js';
import { TESTS_SCHEMA } from './tests-schema.js';

/** What a case of tests.yaml expects. */
export interface ExpectYaml {
  readonly state?: 'succeeded' | 'failed' | 'timed_out';
  readonly error?: string;
  readonly message?: string;
  readonly exit_code?: number;
  readonly output?: Readonly<Record<string, unknown>>;
  readonly log: readonly string[];
  readonly within?: string;
  readonly left_processes?: number;
  readonly leaves_files: boolean;
}

/** A case of tests.yaml, with its defaults filled in. */
export interface CaseYaml {
  readonly name: string;
  readonly example?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly dry_run: boolean;
  readonly allow_changes: boolean;
  readonly configuration?: Readonly<Record<string, unknown>>;
  readonly vars?: Readonly<Record<string, unknown>>;
  readonly timeout?: string;
  readonly skip?: string;
  readonly expect: ExpectYaml;
}

/** A tests.yaml, with its defaults filled in. */
export interface TestsYaml {
  readonly examples: 'exact' | 'shape' | 'skip';
  readonly allow_changes: boolean;
  readonly cases: readonly CaseYaml[];
}

/** What holds for an action without a tests.yaml. */
const NO_TESTS: TestsYaml = { examples: 'shape', allow_changes: false, cases: [] };

/**
 * The tests.yaml in an action's directory, checked against the action where its manifest is sound. Faults go to `faults`;
 * undefined if there is any.
 */
export async function readTests(
  plugin: OpenPlugin,
  directory: string,
  faults: FileFaults,
): Promise<TestsYaml | undefined> {
  const path = `${directory}/tests.yaml`;
  const reading = await readSourceFile(join(plugin.root, path), {
    bytesMax: YAML_BYTES_MAX,
    within: plugin.root,
  });
  if (!('bytes' in reading)) {
    if (reading.refusal === 'does not exist') return NO_TESTS;
    faults.addFile(plugin.shown(path), 'FILE', `the file ${reading.refusal}`);
    return undefined;
  }
  const before = faults.count;
  const source = readYaml(reading.bytes, plugin.shown(path));
  if (!faults.addYaml(source)) return undefined;
  checkFileShape(source, TESTS_SCHEMA, createSchemaCompiler(), faults);
  if (faults.count > before) return undefined;
  const tests = source.value as TestsYaml;
  const manifest = plugin.shown(`${directory}/manifest.yaml`);
  const action = plugin.bundle?.actions.find(({ file }) => file === manifest);
  checkCases(source, tests, action, faults);
  return faults.count > before ? undefined : tests;
}

function checkCases(
  source: YamlSource,
  tests: TestsYaml,
  action: Action | undefined,
  faults: FileFaults,
): void {
  const names = new Set<string>();
  for (const [index, one] of tests.cases.entries()) {
    const add = (key: string, reason: string, description: string): void =>
      faults.add(source, ['cases', index, ...(key === '' ? [] : [key])], reason, description);
    if (names.has(one.name)) add('name', 'TWICE', `is ${quoted(one.name)}, as another one's`);
    names.add(one.name);
    if (one.example !== undefined && one.params !== undefined) {
      add('params', 'CONFLICT', 'and example exclude each other: the example has its own');
    }
    const { state, error } = one.expect;
    const expected = (key: string, reason: string, description: string): void =>
      faults.add(source, ['cases', index, 'expect', key], reason, description);
    if (error !== undefined && !Object.hasOwn(ERRORS, error)) {
      expected('error', 'UNKNOWN', `is the name of no failure${didYouMean(error, Object.keys(ERRORS))}`);
    }
    if (error !== undefined && state === 'succeeded') {
      expected('state', 'CONFLICT', 'is succeeded, and an error is expected: leave out one of the two');
    }
    if (action === undefined) continue;
    const { capability, configuration } = action;
    const examples = capability.examples.map(({ description }) => description);
    if (one.example !== undefined && !examples.includes(one.example)) {
      add('example', 'UNKNOWN', `is the description of no example${didYouMean(one.example, examples)}`);
    }
    const isMutating = capability.risk !== Risk.READ_ONLY;
    if (isMutating && !one.dry_run && !one.allow_changes && !tests.allow_changes && one.skip === undefined) {
      add('', 'CHANGES', 'changes this machine: say dry_run: true, or allow_changes: true if it may');
    }
    if (one.dry_run && !capability.supportsDryRun) {
      add('dry_run', 'NO_DRY_RUN', 'is true, but the manifest does not say supports_dry_run: true');
    }
    if (one.configuration === undefined) continue;
    if (configuration === undefined) {
      add('configuration', 'UNKNOWN', 'is for an action without a configuration_schema');
      continue;
    }
    const merged = structuredClone({ ...configuration.values, ...one.configuration });
    for (const { path, reason, description } of configuration.check.faults(merged)) {
      faults.add(source, ['cases', index, 'configuration', ...path], reason, description);
    }
  }
}
