import { resolve } from 'node:path';
import { RuneError } from '../../shared/errors.js';

/** Where a store is. `shown` names it in messages, without a password. */
export type StoreLocation =
  | { readonly kind: 'sqlite'; readonly path: string; readonly shown: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly shown: string };

/**
 * Reads the setting `store`: `sqlite:FILE`, a path, or `postgres://…`. Throws CONFIGURATION_INVALID, without the text, which may
 * hold a password.
 */
export function parseStoreLocation(text: string): StoreLocation {
  if (/^postgres(?:ql)?:\/\//i.test(text))
    return { kind: 'postgres', url: text, shown: withoutSecrets(text) };
  const file = text.startsWith('sqlite:') ? text.slice('sqlite:'.length) : text;
  const looksLikeUrl = /^[A-Za-z][A-Za-z0-9+.-]+:/.test(file) || file.startsWith('//');
  if (file === '' || file.includes('\0') || file.endsWith('/') || looksLikeUrl) {
    throw new RuneError(
      'CONFIGURATION_INVALID',
      'The setting store must be sqlite:FILE, the path of a file or postgres://USER@HOST/DATABASE.',
      { field: 'store' },
    );
  }
  const path = resolve(file);
  return { kind: 'sqlite', path, shown: path };
}

/** The URL without user information and parameters: both may hold a password. */
function withoutSecrets(url: string): string {
  const bare = url.replace(/[?#].*$/s, '');
  const afterScheme = bare.indexOf('://') + '://'.length;
  return `postgres://${bare.slice(Math.max(afterScheme, bare.lastIndexOf('@') + 1))}`;
}
