import type { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { readSettings } from '../settings/config.js';
import { RuneError } from '../errors.js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthService,
} from '../gen/grpc/health/v1/health.js';
import { formatAddress, parseAddress } from '../rpc/rpc-address.js';
import { createRpcClient } from '../rpc/rpc-client.js';
import type { Setting, SettingsOf, SettingsSpec } from '../settings/settings.js';
import type { SERVICE_SETTINGS } from '../settings/service-settings.js';

const HEALTH_TIMEOUT_MS = 3_000;
/** What a process on the same host dials where a service listens on all addresses. */
const OWN_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** What the command is given. */
export interface HealthInvocation {
  /** Such as "rune-lmm". */
  readonly name: string;
  /** Prefix of its variables, such as "LMM". */
  readonly prefix: string;
  /** Without the word "health". */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** The settings that say where a service answers. */
type HealthSpec = typeof SERVICE_SETTINGS & { readonly listen: Setting<string> };

/**
 * `rune-… health`: asks the service of this configuration on this host whether it serves. Resolves with the exit code: 0 only
 * for SERVING, 1 for everything else, 2 for a faulty command line.
 */
export async function healthCommand(
  spec: SettingsSpec & HealthSpec,
  { name, prefix, argv, env, stdout, stderr }: HealthInvocation,
): Promise<number> {
  let config: string | undefined;
  try {
    config = parseArgs({ args: [...argv], options: { config: { type: 'string' } } }).values.config;
  } catch (thrown) {
    const said = thrown instanceof Error ? thrown.message : String(thrown);
    stderr.write(`${name} health: ${said}\nUsage: ${name} health [--config FILE]\n`);
    return 2;
  }
  try {
    const settings: SettingsOf<HealthSpec> = readSettings(spec, {
      prefix,
      env,
      ...(config === undefined ? {} : { file: config }),
    });
    const client = createRpcClient(HealthService, { address: addressOf(settings) });
    try {
      const { status } = await client.check({ service: '' }, { timeoutMs: HEALTH_TIMEOUT_MS });
      const isServing = status === ServingStatus.SERVING;
      (isServing ? stdout : stderr).write(`${wordFor(status)}\n`);
      return isServing ? 0 : 1;
    } finally {
      client.close();
    }
  } catch (thrown) {
    const error = RuneError.from(thrown);
    stderr.write(`${name} health: ${error.name}: ${error.message}\n`);
    return 1;
  }
}

function wordFor(status: ServingStatus): string {
  return Object.entries(ServingStatus).find(([, value]) => value === status)?.[0] ?? 'UNKNOWN';
}

function addressOf(settings: SettingsOf<HealthSpec>): string {
  const { probeListen, tlsCertFile, listen } = settings;
  if (probeListen === undefined && tlsCertFile !== undefined) {
    throw new RuneError(
      'CONFIGURATION_INVALID',
      'Health can be asked for without a certificate only where probe_listen is set, such as 127.0.0.1:50053.',
      { field: 'probe_listen' },
    );
  }
  const address = parseAddress(probeListen ?? listen);
  return formatAddress({ ...address, host: OWN_ADDRESS[address.host] ?? address.host });
}
