import { createFileFaults } from '../../../shared/files/file-faults.js';
import { SCRIPT_BYTES_MAX } from '../../../shared/bundle/bundle-files.js';
import { FILE_PATH } from '../../../shared/bundle/file-rules.js';
import { shippedLibrary } from '../../../shared/bundle/shipped-library.js';
import type { ValidationError } from '../../../shared/gen/rune/v1/eps.js';
import { readYaml, type YamlSource } from '../../../shared/files/yaml-source.js';
import { openPlugin, type OpenPlugin } from '../open-plugin.js';
import { readTests } from '../test/read-tests.js';
import type { Finding } from './finding.js';
import { manifestAdvice } from './manifest-advice.js';
import { findNewerSyntax } from './newer-syntax.js';
import { runShellcheck, withoutRepetition, withoutSharedVariables } from './shellcheck.js';
import { readShellcheckRules } from './shellcheck-rules.js';
import { findStdoutWrites } from './stdout-writes.js';
import { definedFunctions, findUnknownFunctions } from './unknown-functions.js';

const FAULTS_LISTED_MAX = 1000;
/** What a shell script says of itself: by its first line, or as shellcheck wants it of files without one. */
const SHELL = /^#! ?\S*(?:\/| )(?:ba|da|k)?sh\b|^# shellcheck shell=/;
const BASH = /^#! ?\S*(?:\/| )bash\b|^# shellcheck shell=bash\b/;

/** A script of the bundle by its path, with what is known of who runs it. */
interface Script {
  readonly path: string;
  readonly text: string;
  /** It answers by the functions of the library, so standard output is theirs. */
  readonly answersByLibrary: boolean;
  /** It is of an action with `protocol: bolt`. */
  readonly isTask: boolean;
}

function ofFault({ field, description, reason }: ValidationError): Finding {
  const [, file = field, line] = /^(.*):(\d+)$/.exec(field) ?? [];
  return {
    file,
    ...(line === undefined ? {} : { line: Number(line) }),
    severity: 'error',
    rule: reason,
    message: description,
  };
}

function manifestsOf(plugin: OpenPlugin): { directory: string; source: YamlSource }[] {
  return plugin.actions.flatMap((directory) => {
    const path = `${directory}/manifest.yaml`;
    const bytes = plugin.files.get(path);
    return bytes === undefined ? [] : [{ directory, source: readYaml(bytes, plugin.shown(path)) }];
  });
}

/** Reads the scripts of actions whose manifests have faults: their own faults are worth telling too. */
async function readScripts(plugin: OpenPlugin): Promise<void> {
  for (const { directory, source } of manifestsOf(plugin)) {
    const { entrypoint } = (source.value ?? {}) as { entrypoint?: unknown };
    const path = `${directory}/${String(entrypoint)}`;
    if (typeof entrypoint !== 'string' || !FILE_PATH.test(entrypoint) || plugin.files.has(path)) continue;
    await plugin.read(path, SCRIPT_BYTES_MAX);
  }
}

/** Every shell script that was read, the library of the bundle left out: it is no plugin. */
function scriptsOf(plugin: OpenPlugin): Script[] {
  const tasks = manifestsOf(plugin)
    .filter(({ source }) => (source.value as { protocol?: unknown } | null)?.protocol === 'bolt')
    .map(({ directory }) => `${directory}/`);
  return [...plugin.files]
    .map(([path, bytes]) => ({ path, text: bytes.toString('utf8') }))
    .filter(({ path, text }) => path !== plugin.bundle?.head.library && SHELL.test(text))
    .map(({ path, text }) => ({
      path,
      text,
      answersByLibrary: /^\s*rune_init\b/m.test(text),
      isTask: tasks.some((directory) => path.startsWith(directory)),
    }));
}

/** Functions that the scripts may call: of the library, and their own. */
function knownFunctions({ files, bundle }: OpenPlugin, scripts: readonly Script[]): Set<string> {
  const own = bundle?.head.library === undefined ? undefined : files.get(bundle.head.library);
  const library = (own ?? shippedLibrary()).toString('utf8');
  return new Set([library, ...scripts.map(({ text }) => text)].flatMap(definedFunctions));
}

function scriptFindings(
  { path, text, answersByLibrary }: Script,
  functions: ReadonlySet<string>,
  shown: (path: string) => string,
): Finding[] {
  const file = shown(path);
  const newer = BASH.test(text) ? findNewerSyntax(text) : [];
  return [
    ...newer.map(({ line, what }): Finding => {
      const message = `bash 4.2, which a node may have, does not know ${what}`;
      return { file, line, severity: 'error', rule: 'NEWER_SYNTAX', message };
    }),
    ...(answersByLibrary ? findStdoutWrites(text) : []).map((line): Finding => {
      const message = 'seems to print to standard output, which holds the answer only: add >&2';
      return { file, line, severity: 'warning', rule: 'STDOUT', message };
    }),
    ...findUnknownFunctions(text, functions).map(({ line, what }): Finding => ({
      file,
      line,
      severity: 'error',
      rule: 'FUNCTION',
      message: what,
    })),
  ];
}

async function shellcheckFindings(
  plugin: OpenPlugin,
  scripts: readonly Script[],
  directory: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const answer = await runShellcheck(
    plugin.root,
    scripts.map(({ path }) => path),
    await readShellcheckRules(plugin.root),
    env,
  );
  if (typeof answer === 'string') {
    const message = `the scripts were not checked by shellcheck, which ${answer}`;
    return [{ file: directory, severity: 'warning', rule: 'SHELLCHECK', message }];
  }
  const texts = new Map(scripts.map(({ path, text }) => [path, text]));
  const tasks = new Set(scripts.filter(({ isTask }) => isTask).map(({ path }) => path));
  return withoutRepetition(withoutSharedVariables(answer, texts, tasks)).map(
    ({ file, line, isError, rule, message }) => ({
      file: plugin.shown(file),
      line,
      severity: isError ? 'error' : 'warning',
      rule,
      message,
    }),
  );
}

/**
 * Everything that can be found wrong with the bundle or the action in a directory without running it, sorted by file and line.
 * Throws COMMAND_INVALID if it is neither.
 */
export async function lintPlugin(
  directory: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const faults = createFileFaults(FAULTS_LISTED_MAX);
  const plugin = await openPlugin(directory, faults);
  for (const action of plugin.actions) await readTests(plugin, action, faults);
  await readScripts(plugin);
  const scripts = scriptsOf(plugin);
  const functions = knownFunctions(plugin, scripts);
  const findings = [
    ...faults.listed.map(ofFault),
    ...manifestsOf(plugin).flatMap(({ source }) => manifestAdvice(source)),
    ...scripts.flatMap((script) => scriptFindings(script, functions, plugin.shown)),
    ...(await shellcheckFindings(plugin, scripts, directory, env)),
  ];
  if (plugin.isUnlisted) {
    const message = 'no bundle.yaml beside this directory lists the action, so no service loads it';
    findings.push({ file: directory, severity: 'warning', rule: 'UNLISTED', message });
  }
  return findings.toSorted((a, b) =>
    a.file === b.file ? (a.line ?? 0) - (b.line ?? 0) : a.file < b.file ? -1 : 1,
  );
}
