import { createSdkApi } from '../../../services/lmm/transports/ssm/sdk-api.js';
import { SYSTEM_CLOCK } from '../../../services/lmm/transports/ssm/rate-budget.js';
import type { SsmSettings } from '../../../services/lmm/transports/ssm/ssm-settings.js';
import { createSsmTransport } from '../../../services/lmm/transports/ssm/ssm-transport.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import { eventually } from '../../support/eventually.js';
import type { PluginRun } from '../../support/run-plugin.js';
import {
  startSsmEndpoint,
  type SsmEndpoint,
  type SsmEndpointOptions,
} from '../../support/ssm/ssm-endpoint.js';
import { ssmSettings } from '../../support/ssm/ssm-settings.js';

/** An endpoint of AWS, and transports that reach it. */
export interface SsmWorld {
  readonly aws: SsmEndpoint;
  open(changes?: Partial<SsmSettings>): Transport;
  /** How often scripts of this run were executed. */
  executionsOf(run: PluginRun): number;
  /** Waits until one was. */
  isRunning(run: PluginRun): Promise<unknown>;
}

/**
 * Starts the endpoint for the tests of a `describe`, in which it is to be called. Transports have these settings and end with each
 * test.
 */
export function ssmWorld(options: () => SsmEndpointOptions, settings: Partial<SsmSettings> = {}): SsmWorld {
  const environment = { ...process.env };
  const opened: Transport[] = [];
  let aws: SsmEndpoint;
  before(async () => {
    aws = await startSsmEndpoint(options());
    Object.assign(process.env, aws.env);
  });
  afterEach(async () => {
    aws.faults.clear();
    for (const transport of opened.splice(0)) await transport.close();
  });
  after(async () => {
    for (const name of Object.keys(aws.env)) delete process.env[name];
    Object.assign(process.env, environment);
    await aws.stop();
  });
  const executionsOf = ({ runId }: PluginRun): number =>
    aws.record.executions().filter(({ script }) => script.includes(runId)).length;
  return {
    get aws() {
      return aws;
    },
    open(changes = {}) {
      const transport = createSsmTransport({
        settings: ssmSettings({ ssmEndpoint: aws.url, ssmStsEndpoint: aws.url, ...settings, ...changes }),
        connect: createSdkApi,
        clock: SYSTEM_CLOCK,
        random: Math.random,
      });
      opened.push(transport);
      return transport;
    },
    executionsOf,
    isRunning: (run) => eventually(() => executionsOf(run) > 0, { label: 'the script to be executed' }),
  };
}
