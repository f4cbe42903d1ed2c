import type { Complain } from '../shared/settings.js';
import type { CredentialConfig, SecretPlace } from './credentials.js';

const TEXTS = [
  'user',
  'passphrase_file',
  'passphrase_variable',
  'agent',
  'password_file',
  'password_variable',
] as const;
const LISTS = ['key_files', 'allowed_hosts'] as const;

const isObject = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);

const isTexts = (raw: unknown): raw is string[] =>
  Array.isArray(raw) && raw.every((item) => typeof item === 'string' && item !== '');

function readOne(name: string, raw: unknown, complain: Complain): CredentialConfig | undefined {
  if (!isObject(raw)) {
    complain('must be a map', [name]);
    return undefined;
  }
  let good = true;
  const fault = (key: string, message: string): void => {
    good = false;
    complain(message, [name, key]);
  };
  for (const [key, value] of Object.entries(raw)) {
    if (TEXTS.some((known) => known === key)) {
      if (typeof value !== 'string' || value === '') fault(key, 'must be a text that is not empty');
    } else if (LISTS.some((known) => known === key)) {
      if (!isTexts(value)) fault(key, 'must be a list of texts');
    } else {
      fault(key, `is none of ${[...TEXTS, ...LISTS].join(', ')}`);
    }
  }
  for (const kind of ['passphrase', 'password'] as const) {
    if (raw[`${kind}_file`] !== undefined && raw[`${kind}_variable`] !== undefined)
      fault(`${kind}_variable`, `is given together with ${kind}_file: keep one of them`);
  }
  if (!good) return undefined;
  const { user, agent, key_files: keyFiles, allowed_hosts: allowedHosts } = raw;
  const passphrase = placeOf(raw, 'passphrase');
  const password = placeOf(raw, 'password');
  if (agent === undefined && password === undefined && !(isTexts(keyFiles) && keyFiles.length > 0)) {
    complain('needs key_files, agent, password_file or password_variable', [name]);
    return undefined;
  }
  return {
    keyFiles: isTexts(keyFiles) ? keyFiles : [],
    ...(typeof user === 'string' ? { user } : {}),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(typeof agent === 'string' ? { agent } : {}),
    ...(password === undefined ? {} : { password }),
    ...(isTexts(allowedHosts) ? { allowedHosts } : {}),
  };
}

function placeOf(raw: Record<string, unknown>, kind: 'passphrase' | 'password'): SecretPlace | undefined {
  const file = raw[`${kind}_file`];
  const variable = raw[`${kind}_variable`];
  if (typeof file === 'string') return { file };
  return typeof variable === 'string' ? { variable } : undefined;
}

/** Reads the setting `credentials`: a map from name to what docs/ssh.md lists. */
export function readCredentialConfigs(
  raw: unknown,
  complain: Complain,
): Readonly<Record<string, CredentialConfig>> | undefined {
  if (!isObject(raw)) {
    complain('must be a map of credentials by name');
    return undefined;
  }
  const entries = Object.entries(raw).map(([name, value]) => [name, readOne(name, value, complain)] as const);
  const good = entries.filter(
    (entry): entry is readonly [string, CredentialConfig] => entry[1] !== undefined,
  );
  return Object.fromEntries(good);
}
