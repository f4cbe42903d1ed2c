import { createAuthWays, type AuthWays } from '../../services/lmm/transports/ssh/auth-ways.js';
import {
  watchCredentials,
  type CredentialConfigs,
} from '../../services/lmm/credentials/watch-credentials.js';
import { createIdentities, type Identities } from '../../services/lmm/credentials/identities.js';
import type { Credentials } from '../../services/lmm/credentials/credentials.js';
import { recordingLogger } from './recording-logger.js';

/** Credentials of a configuration that stays as it is; their files are looked at each time. */
export function staticCredentials(configs: CredentialConfigs): {
  readonly credentials: Credentials;
  readonly authWays: AuthWays;
  readonly identities: Identities;
} {
  const authWays = createAuthWays();
  const { logger } = recordingLogger();
  const identities = createIdentities({ check: authWays.check, recheckMs: 0, logger });
  const credentials = watchCredentials({
    configs,
    reread: () => configs,
    configFile: undefined,
    env: {},
    check: authWays.check,
    recheckMs: 0,
    logger,
  });
  return { credentials, authWays, identities };
}
