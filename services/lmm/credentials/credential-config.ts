import type { Complain } from '../../shared/settings/settings.js';
import type { CredentialConfig, SecretPlace } from './credentials.js';

const TEXTS = [
  'user',
  'passphrase_file',
  'passphrase_variable',
  'agent',
  'password_file',
  'password_variable',
] as const;
const LISTS = ['key_files', 'certificate_files', 'allowed_hosts'] as const;
const CLIENT = 'openssh';

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
    } else if (key === 'client') {
      if (value !== CLIENT) fault(key, `must be ${CLIENT}, or left out`);
    } else if (key === 'gssapi') {
      if (typeof value !== 'boolean') fault(key, 'must be true or false');
    } else {
      fault(key, `is none of ${[...TEXTS, ...LISTS, 'client', 'gssapi'].join(', ')}`);
    }
  }
  for (const key of ['certificate_files', 'gssapi']) {
    if (raw[key] !== undefined && raw['client'] !== CLIENT) fault(key, `needs client: ${CLIENT}`);
  }
  for (const key of ['passphrase_file', 'passphrase_variable', 'password_file', 'password_variable']) {
    if (raw[key] !== undefined && raw['client'] === CLIENT)
      fault(key, `is not possible with client: ${CLIENT}; an agent can hold the key`);
  }
  for (const kind of ['passphrase', 'password'] as const) {
    if (raw[`${kind}_file`] !== undefined && raw[`${kind}_variable`] !== undefined)
      fault(`${kind}_variable`, `is given together with ${kind}_file: keep one of them`);
  }
  if (!good) return undefined;
  const {
    user,
    agent,
    key_files: keyFiles,
    allowed_hosts: allowedHosts,
    certificate_files: certificateFiles,
    client,
    gssapi,
  } = raw;
  const passphrase = placeOf(raw, 'passphrase');
  const password = placeOf(raw, 'password');
  const isEmpty = agent === undefined && password === undefined && gssapi !== true;
  if (isEmpty && !(isTexts(keyFiles) && keyFiles.length > 0)) {
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
    ...(client === CLIENT ? { client } : {}),
    ...(isTexts(certificateFiles) ? { certificateFiles } : {}),
    ...(typeof gssapi === 'boolean' ? { gssapi } : {}),
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
