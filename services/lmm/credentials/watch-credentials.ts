import { isDeepStrictEqual } from 'node:util';
import { RuneError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import {
  credentialSet,
  type Credential,
  type CredentialConfig,
  type Credentials,
  type LoadedCredential,
} from './credentials.js';
import { fileStamp } from '../../shared/files/file-stamp.js';
import { filesOf, loadCredential, type Env } from './load-credential.js';

/** The setting `credentials`: a credential's name to what it consists of. */
export type CredentialConfigs = Readonly<Record<string, CredentialConfig>>;

export interface WatchedCredentialsOptions {
  /** As the service started with them. */
  readonly configs: CredentialConfigs;
  /** The same from the configuration as it is now. Throws CONFIGURATION_INVALID. */
  readonly reread: () => CredentialConfigs;
  /** Undefined for a service that has no configuration file. */
  readonly configFile: string | undefined;
  readonly env: Env;
  /** Throws CREDENTIAL_UNUSABLE for keys that cannot be used. */
  readonly check: (credential: Credential) => void;
  /** How long an answer is used before the files are looked at again, in ms. */
  readonly recheckMs: number;
  readonly logger: Logger;
}

/** Credentials that follow the configuration file and their own files. */
export interface WatchedCredentials extends Credentials {
  /** Looks at everything again now, also at what did not change. */
  reload(): Promise<void>;
}

type Loaded = ReadonlyMap<string, LoadedCredential>;

/**
 * Loads the credentials and follows them: when the configuration file or one of their files has changed, all of them are
 * loaded again, and used only if none of them became unusable. Otherwise the old ones stay, and the log says why.
 */
export function watchCredentials(options: WatchedCredentialsOptions): WatchedCredentials {
  const { logger, env, check } = options;
  let configs = options.configs;
  let loaded: Loaded | undefined;
  let configStamp: string | undefined;
  let filesStamp = '';
  let checkedAtMs = -Infinity;
  let versions = 0;
  let looking: Promise<Loaded> | undefined;

  const loadOne = async (name: string, config: CredentialConfig): Promise<LoadedCredential> => {
    try {
      const found = await loadCredential(name, config, env);
      const known = credentialOf(loaded, name);
      if (known !== undefined && isDeepStrictEqual({ ...found, version: known.version }, known))
        return { config, credential: known };
      versions += 1;
      const credential: Credential = { ...found, version: versions };
      check(credential);
      return { config, credential };
    } catch (thrown) {
      return { config, fault: RuneError.from(thrown) };
    }
  };

  const loadAll = async (from: CredentialConfigs): Promise<Loaded> =>
    new Map(
      await Promise.all(
        Object.entries(from).map(async ([name, config]) => [name, await loadOne(name, config)] as const),
      ),
    );

  const look = async (force: boolean): Promise<Loaded> => {
    const configStampNow = options.configFile === undefined ? '' : await fileStamp([options.configFile]);
    if (loaded !== undefined && (force || configStampNow !== configStamp)) {
      try {
        configs = options.reread();
      } catch (thrown) {
        configStamp = configStampNow;
        keepOld(RuneError.from(thrown));
        return loaded;
      }
    }
    // Before the files are read: what changes in between is seen the next time.
    const filesStampNow = await fileStamp(Object.values(configs).flatMap(filesOf));
    const isSame = configStampNow === configStamp && filesStampNow === filesStamp;
    if (loaded !== undefined && isSame && !force) return loaded;
    configStamp = configStampNow;
    filesStamp = filesStampNow;
    const candidate = await loadAll(configs);
    const faults = [...candidate].flatMap(([name, found]) =>
      'fault' in found ? [{ name, fault: found.fault }] : [],
    );
    if (loaded === undefined) {
      for (const { fault } of faults) logger.warn(fault.message);
      loaded = candidate;
      return candidate;
    }
    // One that could not be used before takes nothing away.
    const worse = faults.find(({ name }) => !isFault(loaded, name));
    if (worse !== undefined) {
      keepOld(worse.fault);
      return loaded;
    }
    if (isSameSet(loaded, candidate)) {
      if (force) logger.info('the credentials have not changed');
    } else {
      logger.info('the credentials were loaded again', { credentials: [...candidate.keys()] });
    }
    loaded = candidate;
    return candidate;
  };

  const keepOld = (why: RuneError): void => {
    logger.error('the credentials have changed and cannot be used: the old ones stay', {
      reason: why.message,
    });
  };

  const lookOnce = (force: boolean): Promise<Loaded> => {
    checkedAtMs = performance.now();
    looking = (looking ?? Promise.resolve()).then(() => look(force));
    return looking;
  };

  return {
    async current() {
      const isDue = loaded === undefined || performance.now() - checkedAtMs >= options.recheckMs;
      return credentialSet(await (isDue || looking === undefined ? lookOnce(false) : looking));
    },
    async reload() {
      await lookOnce(true);
    },
  };
}

function credentialOf(loaded: Loaded | undefined, name: string): Credential | undefined {
  const found = loaded?.get(name);
  return found !== undefined && 'credential' in found ? found.credential : undefined;
}

function isFault(loaded: Loaded | undefined, name: string): boolean {
  const found = loaded?.get(name);
  return found !== undefined && 'fault' in found;
}

function isSameSet(before: Loaded, after: Loaded): boolean {
  if (before.size !== after.size) return false;
  return [...after].every(([name, found]) => {
    const old = before.get(name);
    return (
      isDeepStrictEqual(old?.config, found.config) &&
      'credential' in found &&
      credentialOf(before, name) === found.credential
    );
  });
}
