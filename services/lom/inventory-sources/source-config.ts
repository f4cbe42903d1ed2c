import { durationSetting, type Complain } from '../../shared/settings/settings.js';
import { readAwsSource, type AwsSource } from './aws/aws-config.js';

/** Where a part of the inventory comes from, besides files. */
export interface InventorySourceConfig {
  /** How faults, logs and callers name it. */
  readonly name: string;
  readonly refreshMs: number;
  readonly timeoutMs: number;
  readonly from: ProgramSource | UrlSource | AwsSource;
}

/** A program that prints an inventory. */
export interface ProgramSource {
  readonly kind: 'program';
  /** Path and arguments. */
  readonly command: readonly string[];
  /** Variables of the service that it is given besides PATH, HOME and LANG. */
  readonly variables: readonly string[];
}

/** An inventory that is fetched. */
export interface UrlSource {
  readonly kind: 'url';
  readonly url: string;
  /** CA of the server, PEM; the system's if not given. */
  readonly caFile?: string;
  /** File with a token that is sent as `Authorization: Bearer`. */
  readonly tokenFile?: string;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const REFRESH = durationSetting({ name: 'refresh', doc: '', default: '1m', min: '1s', max: '24h' });
const TIMEOUT = durationSetting({ name: 'timeout', doc: '', default: '30s', min: '1s', max: '10m' });
const KEYS = ['program', 'variables', 'url', 'ca_file', 'token_file', 'ec2', 'ssm', 'refresh', 'timeout'];

const isObject = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);
const isText = (raw: unknown): raw is string => typeof raw === 'string' && raw !== '';

/** Reads the setting `inventory_sources`: a map of sources by name. */
export function readInventorySources(raw: unknown, complain: Complain): InventorySourceConfig[] | undefined {
  if (!isObject(raw)) {
    complain('must be a map of sources by name');
    return undefined;
  }
  return Object.entries(raw).flatMap(([name, value]) => readSource(name, value, complain) ?? []);
}

function readSource(name: string, raw: unknown, complain: Complain): InventorySourceConfig | undefined {
  if (!NAME.test(name)) {
    complain('must be named with letters, digits, ".", "_" and "-"', [name]);
    return undefined;
  }
  if (!isObject(raw)) {
    complain('must be a map', [name]);
    return undefined;
  }
  let isGood = true;
  const fault: Fault = (key, message, path = []) => {
    isGood = false;
    complain(message, [name, key, ...path]);
  };
  for (const key of Object.keys(raw)) {
    if (!KEYS.includes(key)) fault(key, `is none of ${KEYS.join(', ')}`);
  }
  const duration = (setting: typeof REFRESH, key: string): number =>
    raw[key] === undefined
      ? setting.defaultValue
      : (setting.parse(raw[key], (message) => fault(key, message)) ?? 0);
  const refreshMs = duration(REFRESH, 'refresh');
  const timeoutMs = duration(TIMEOUT, 'timeout');
  const from = readFrom(raw, fault);
  return isGood && from !== undefined ? { name, refreshMs, timeoutMs, from } : undefined;
}

type Fault = (key: string, message: string, path?: readonly (string | number)[]) => void;

function readFrom(raw: Record<string, unknown>, fault: Fault): InventorySourceConfig['from'] | undefined {
  if (raw['program'] !== undefined) return readProgram(raw, fault);
  const kind = raw['ec2'] === undefined ? 'ssm' : 'ec2';
  if (raw[kind] === undefined) return readUrl(raw, fault);
  for (const key of ['url', 'ca_file', 'token_file', 'variables', 'ssm']) {
    if (key !== kind && raw[key] !== undefined) fault(key, `does not go together with ${kind}`);
  }
  return readAwsSource(kind, raw[kind], (path, message) => fault(kind, message, path));
}

function readProgram(raw: Record<string, unknown>, fault: Fault): ProgramSource | undefined {
  const { program, variables = [] } = raw;
  for (const key of ['url', 'ca_file', 'token_file', 'ec2', 'ssm']) {
    if (raw[key] !== undefined) fault(key, 'does not go together with program');
  }
  const command: unknown = isText(program) ? [program] : program;
  if (!Array.isArray(command) || command.length === 0 || !command.every(isText)) {
    fault('program', 'must be the path of a program, or a list of it and its arguments');
    return undefined;
  }
  if (!command[0]?.startsWith('/')) fault('program', 'must begin with "/"');
  if (!Array.isArray(variables) || !variables.every((one) => isText(one) && VARIABLE.test(one))) {
    fault('variables', 'must be a list of names of variables');
    return undefined;
  }
  return { kind: 'program', command, variables: variables as string[] };
}

function readUrl(raw: Record<string, unknown>, fault: Fault): UrlSource | undefined {
  const { url, ca_file: caFile, token_file: tokenFile } = raw;
  if (raw['variables'] !== undefined) fault('variables', 'goes together with program only');
  for (const key of ['ca_file', 'token_file']) {
    if (raw[key] !== undefined && !isText(raw[key])) fault(key, 'must be a text that is not empty');
  }
  if (!isText(url) || !URL.canParse(url) || new URL(url).protocol !== 'https:') {
    fault('url', 'must be an https:// address, or program, ec2 or ssm must be given');
    return undefined;
  }
  if (new URL(url).password !== '') fault('url', 'must hold no password: use token_file');
  return {
    kind: 'url',
    url,
    ...(isText(caFile) ? { caFile } : {}),
    ...(isText(tokenFile) ? { tokenFile } : {}),
  };
}
