import { readFile, stat } from 'node:fs/promises';
import { RuneError } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { fileStamp } from '../../../shared/files/file-stamp.js';
import { parseSshConfig, type SshConfig } from './ssh-config.js';

/** An ssh_config file larger than this is refused. */
const FILE_BYTES_MAX = 1024 * 1024;

export interface SshConfigOptions {
  readonly paths: readonly string[];
  /** Stands for "~". */
  readonly home: string;
  /** How long an answer is used before the files are looked at again, in ms. */
  readonly recheckMs: number;
  readonly logger: Logger;
}

/** The mediator's ssh_config files, as they stand at this moment. */
export interface SshConfigSource {
  /** Never rejects: files that have become unusable leave what they said before. */
  current(): Promise<SshConfig>;
}

/** Reads ssh_config files, again when one has changed. Rejects with CONFIGURATION_INVALID if they cannot be used at first. */
export async function readSshConfig(options: SshConfigOptions): Promise<SshConfigSource> {
  const { paths, home, recheckMs, logger } = options;
  const load = async (): Promise<SshConfig> => {
    const config = parseSshConfig(await Promise.all(paths.map(readOne)), home);
    if (config.ignored.length > 0)
      logger.info('keywords of ssh_config without an effect here', { keywords: config.ignored });
    return config;
  };
  let stamp = await fileStamp(paths);
  let checkedAtMs = performance.now();
  let config = await load();
  let looking: Promise<SshConfig> = Promise.resolve(config);

  const look = async (): Promise<SshConfig> => {
    const now = await fileStamp(paths);
    if (now === stamp) return config;
    stamp = now;
    try {
      config = await load();
      logger.info('the ssh_config was loaded again');
    } catch (thrown) {
      const { message } = RuneError.from(thrown);
      logger.error('the ssh_config has changed and cannot be used: the old one stays', { reason: message });
    }
    return config;
  };
  return {
    current() {
      if (performance.now() - checkedAtMs >= recheckMs) {
        checkedAtMs = performance.now();
        looking = looking.then(look);
      }
      return looking;
    },
  };
}

async function readOne(path: string): Promise<{ path: string; text: string }> {
  try {
    if ((await stat(path)).size > FILE_BYTES_MAX) throw new Error(`larger than ${FILE_BYTES_MAX} bytes`);
    return { path, text: await readFile(path, 'utf8') };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unknown';
    throw new RuneError(
      'CONFIGURATION_INVALID',
      `The ssh_config ${path} cannot be read: ${why}.`,
      { field: path },
      { cause },
    );
  }
}
