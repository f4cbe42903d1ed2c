import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Io } from '../io.js';
import { readFileBounded } from '../read-bounded.js';
import type { Config } from './parse-config.js';

const CONFIG_BYTES_MAX = 256 * 1024;

/** Where the configuration file is: `$XDG_CONFIG_HOME/rune/config.yaml`, by default under `~/.config`. */
export function configPath(env: Io['env']): string {
  const base = env['XDG_CONFIG_HOME'] ?? '';
  return join(base.startsWith('/') ? base : join(env['HOME'] ?? homedir(), '.config'), 'rune', 'config.yaml');
}

/** The configuration, empty if there is no file. Throws COMMAND_INVALID if it cannot be read or has faults. */
export async function loadConfig(env: Io['env']): Promise<Config> {
  const path = configPath(env);
  const exists = await access(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT' && error.code !== 'ENOTDIR',
  );
  if (!exists) return { contexts: new Map() };
  const text = await readFileBounded(path, CONFIG_BYTES_MAX, 'configuration');
  const { parseConfig } = await import('./parse-config.js');
  return parseConfig(text, path);
}
