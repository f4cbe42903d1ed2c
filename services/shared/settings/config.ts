import { readFileSync, statSync } from 'node:fs';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import { RuneError } from '../errors.js';
import type { ValidationError } from '../gen/rune/v1/eps.js';
import { didYouMean } from '../suggest.js';
import type { Setting, SettingsOf, SettingsSpec } from './settings.js';

/** A configuration file above this size is refused. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Where settings come from. A variable wins over the file, the file over the default. */
export interface SettingsSources {
  /** The variables' prefix, such as "LMM"; a variable that is empty counts as not set. */
  readonly prefix: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of a YAML file. */
  readonly file?: string;
}

/**
 * Reads a spec's settings. All faults of file and variables, unknown keys of the file included, are in the one
 * CONFIGURATION_INVALID that is thrown, each with its file and line or its variable. Values of secrets are never in it.
 */
export function readSettings<S extends SettingsSpec>(spec: S, sources: SettingsSources): SettingsOf<S> {
  const faults: ValidationError[] = [];
  const complain = (field: string, description: string): void => {
    faults.push({ field, description, reason: 'SETTING' });
  };
  const file = sources.file === undefined ? undefined : openFile(sources.file, complain);
  if (file !== undefined) refuseUnknown(file, Object.values(spec), complain);

  const values = Object.entries(spec).map(([key, setting]): [string, unknown] => {
    const found = faults.length;
    const value = readOne(setting, file, sources, complain);
    return [key, faults.length > found ? undefined : value];
  });
  if (faults.length > 0) throw invalid(faults);
  return Object.fromEntries(values) as SettingsOf<S>;
}

/**
 * The variables that begin with the prefix and set nothing, one sentence each. Kubernetes gives every process names such as
 * LOM_PORT and LOM_SERVICE_HOST of its own: those are not meant for the service.
 */
export function unknownVariables(spec: SettingsSpec, { prefix, env }: SettingsSources): string[] {
  const known = Object.values(spec).map((setting) => variableOf(prefix, setting));
  return Object.keys(env)
    .filter((name) => name.startsWith(`${prefix}_`) && !known.includes(name))
    .filter((name) => !/_(PORT|HOST)$|_PORT_|_SERVICE_/.test(name))
    .toSorted()
    .map((name) => `the variable ${name} is not a setting${didYouMean(name, known)}`);
}

/** Name of the variable that sets a setting. */
export function variableOf(prefix: string, setting: Setting<unknown>): string {
  return `${prefix}_${setting.name.replaceAll('.', '_').toUpperCase()}`;
}

/** A spec as a Markdown table for docs/configuration.md. */
export function settingsTable(spec: SettingsSpec, prefix: string): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  const code = (text: string): string => `\`${cell(text)}\``;
  const rows = Object.values(spec).map((setting) => {
    const standard = setting.required
      ? 'required'
      : setting.defaultText === undefined
        ? ''
        : code(setting.defaultText);
    return `| ${code(setting.name)} | ${code(variableOf(prefix, setting))} | ${cell(setting.kind)} | ${standard} | ${cell(setting.doc)} |`;
  });
  return ['| key | variable | value | default | meaning |', '|---|---|---|---|---|', ...rows, ''].join('\n');
}

type Report = (field: string, description: string) => void;

interface ConfigFile {
  readonly path: string;
  readonly document: Document.Parsed;
  /** The whole file as plain data. */
  readonly content: unknown;
  readonly lines: LineCounter;
}

function readOne(
  setting: Setting<unknown>,
  file: ConfigFile | undefined,
  sources: SettingsSources,
  report: Report,
): unknown {
  const variable = variableOf(sources.prefix, setting);
  const fromEnv = sources.env[variable];
  if (fromEnv !== undefined && fromEnv !== '') {
    return setting.parse(fromEnv, (message) => report(variable, `${setting.name} ${message}`));
  }
  const path = setting.name.split('.');
  const fromFile = file === undefined ? undefined : valueAt(file, path);
  if (file !== undefined && fromFile !== undefined && fromFile !== null) {
    return setting.parse(fromFile, (message, inside = []) => {
      const where = inside.length === 0 ? setting.name : `${setting.name}.${inside.join('.')}`;
      report(placeOf(file, [...path, ...inside]), `${where} ${message}`);
    });
  }
  if (setting.required) report(variable, `${setting.name} must be set, here or in the configuration file`);
  return setting.defaultValue;
}

function openFile(path: string, report: Report): ConfigFile | undefined {
  let text: string;
  try {
    if (statSync(path).size > FILE_BYTES_MAX) {
      report(path, 'the configuration file is larger than 1 MiB');
      return undefined;
    }
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    report(path, `the configuration file cannot be read (${why})`);
    return undefined;
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  for (const { message, pos } of document.errors) report(`${path}:${lines.linePos(pos[0]).line}`, message);
  if (document.errors.length > 0) return undefined;
  if (document.contents !== null && !isMap(document.contents) && !isEmpty(document.contents)) {
    report(`${path}:1`, 'the configuration file must be a map of settings');
    return undefined;
  }
  try {
    return { path, document, lines, content: document.toJS() };
  } catch {
    // The library refuses aliases that would expand to more than memory holds.
    report(`${path}:1`, 'the configuration file uses aliases that expand to too much, or to nothing');
    return undefined;
  }
}

function isEmpty(node: unknown): boolean {
  return isScalar(node) && node.value === null;
}

/** Every key of the file must lead to a setting. */
function refuseUnknown(file: ConfigFile, settings: readonly Setting<unknown>[], report: Report): void {
  const leaves = new Set(settings.map(({ name }) => name));
  const branches = new Set(
    settings.flatMap(({ name }) => {
      const parts = name.split('.');
      return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
    }),
  );
  const walk = (node: unknown, above: readonly string[]): void => {
    if (!isMap(node)) {
      if (!isEmpty(node)) report(placeOf(file, above), `${above.join('.')} must be a map`);
      return;
    }
    for (const { key, value } of node.items) {
      const path = [...above, String(isScalar(key) ? key.value : key)];
      const name = path.join('.');
      if (branches.has(name)) walk(value, path);
      else if (!leaves.has(name)) report(lineOf(file, key), `${name} is not a setting`);
    }
  };
  if (isMap(file.document.contents)) walk(file.document.contents, []);
}

function valueAt(file: ConfigFile, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      value !== null && typeof value === 'object'
        ? Object.getOwnPropertyDescriptor(value, key)?.value
        : undefined,
    file.content,
  );
}

/** "file:line" of the node at this path, or of the nearest one above it. */
function placeOf(file: ConfigFile, path: readonly (string | number)[]): string {
  for (let length = path.length; length > 0; length -= 1) {
    const node: unknown = file.document.getIn(path.slice(0, length), true);
    if (node !== undefined && node !== null) return lineOf(file, node);
  }
  return file.path;
}

function lineOf(file: ConfigFile, node: unknown): string {
  const range = node !== null && typeof node === 'object' && 'range' in node ? node.range : undefined;
  const offset: unknown = Array.isArray(range) ? range[0] : undefined;
  return typeof offset === 'number' ? `${file.path}:${file.lines.linePos(offset).line}` : file.path;
}

function invalid(faults: readonly ValidationError[]): RuneError {
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
  const list = faults.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new RuneError('CONFIGURATION_INVALID', `The configuration has ${count}: ${list}.`, {
    validationErrors: [...faults],
  });
}
