import { SSM_SETTINGS, type SsmSettings } from '../../../services/lmm/transports/ssm/ssm-settings.js';

/** The settings of the transport as they are without a configuration. */
const DEFAULTS = Object.fromEntries(
  Object.entries(SSM_SETTINGS).map(([name, { defaultValue }]) => [name, defaultValue]),
) as SsmSettings;

/** Settings for tests: as fast as an endpoint on this machine allows. */
export function ssmSettings(changes: Partial<SsmSettings> = {}): SsmSettings {
  return {
    ...DEFAULTS,
    ssmPollFirstMs: 20,
    ssmPollMaxMs: 200,
    ssmRequestsPerSecond: 500,
    ssmFindWaitMs: 3_000,
    ...changes,
  };
}
