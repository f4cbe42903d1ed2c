import type { Credential } from './credentials.js';
import {
  watchCredentials,
  type WatchedCredentials,
  type WatchedCredentialsOptions,
} from './watch-credentials.js';

/** Credentials that consist of key files only, as ssh_config names them. Rejects with CREDENTIAL_UNUSABLE. */
export type Identities = (
  keyFiles: readonly string[],
  about: { readonly node: string; readonly address: string },
) => Promise<Credential>;

/** Sets of key files that are remembered; the one that was made first makes room. */
const SETS_MAX = 256;

/** Makes the credentials when they are asked for; each follows its files. */
export function createIdentities(
  options: Pick<WatchedCredentialsOptions, 'check' | 'recheckMs' | 'logger'>,
): Identities {
  const watched = new Map<string, WatchedCredentials>();
  return async (keyFiles, about) => {
    // The name stands for the files: connections are shared by it.
    const name = `ssh_config: ${keyFiles.join(', ')}`;
    let credentials = watched.get(name);
    if (credentials === undefined) {
      const configs = { [name]: { keyFiles } };
      credentials = watchCredentials({
        ...options,
        configs,
        reread: () => configs,
        configFile: undefined,
        env: {},
      });
      watched.set(name, credentials);
      const [oldest] = watched.keys();
      if (watched.size > SETS_MAX && oldest !== undefined) watched.delete(oldest);
    }
    return (await credentials.current()).select(name, about);
  };
}
