import { toDuration } from '../../../shared/messages/duration.js';
import { toEps } from '../../../shared/messages/eps.js';
import { RuneError } from '../../../shared/errors.js';
import type { NodeTarget } from '../../../shared/gen/rune/v1/lmm.js';
import { NodeProbe, type SsmAddress } from '../../../shared/gen/rune/v1/run.js';
import { checkCommand } from '../check-command.js';
import { forLogin } from '../remote-command.js';
import type { NodeCommand, Transport } from '../transport.js';
import { refusalError, unavailableError } from './fault-error.js';
import { outputBucketFor } from './output-bucket.js';
import type { Clock, RateBudget } from './rate-budget.js';
import { adoptOverSsm, runOverSsm } from './run-over-ssm.js';
import type { SdkApiOptions } from './sdk-api.js';
import { createSendTogether, type SendRun, type TogetherSettings } from './send-together.js';
import { createSsmAccess, type SsmAccess } from './ssm-access.js';
import { SsmFault, type SsmApi, type SsmInstance } from './ssm-api.js';
import type { SsmRunDeps } from './ssm-run.js';
import { deliverySeconds, sendSettings, type SsmSettings } from './ssm-settings.js';

/** What the transport is made with. */
export interface SsmTransportOptions {
  readonly settings: SsmSettings;
  /** Opens the way to Systems Manager; createSdkApi. */
  readonly connect: (options: SdkApiOptions) => Promise<SsmApi>;
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Runs plugins through AWS Systems Manager. */
export interface SsmTransport extends Transport {
  /** One for each region and role that was needed so far. */
  budgets(): readonly RateBudget[];
}

/** A way to one region as one identity. */
interface Opened {
  readonly access: SsmAccess;
  readonly send: SendRun;
}

/** Who scripts of the agent run as. */
const AGENT_USER = 'root';
const INSTANCE_ID = /^m?i-[0-9a-f]{8,17}$/;
const REGION = /^[a-z]{2}(-[a-z0-9]+)+-\d$/;
const ONLINE = 'Online';

/** Runs plugins through AWS Systems Manager: no connection, no live output; see docs/ssm.md. */
export function createSsmTransport({ settings, connect, clock, random }: SsmTransportOptions): SsmTransport {
  const accesses = new Map<string, Promise<Opened>>();
  const budgets: RateBudget[] = [];
  let isClosed = false;

  const accessTo = async (target: NodeTarget): Promise<Opened & { address: SsmAddress }> => {
    if (isClosed) throw new RuneError('SERVICE_SHUTTING_DOWN', 'The transport ssm is closed.');
    const address = checkAddress(target, settings);
    const { region, roleArn } = address;
    const key = `${region} ${roleArn}`;
    let opened = accesses.get(key);
    if (opened === undefined) {
      opened = connect({
        region,
        roleArn,
        endpoint: settings.ssmEndpoint,
        stsEndpoint: settings.ssmStsEndpoint,
        s3Endpoint: settings.ssmS3Endpoint,
        requestTimeoutMs: settings.ssmRequestTimeoutMs,
      }).then((api) => {
        const access = createSsmAccess({
          api,
          clock,
          random,
          requestsPerSecond: settings.ssmRequestsPerSecond,
          watch: {
            pollFirstMs: settings.ssmPollFirstMs,
            pollMaxMs: settings.ssmPollMaxMs,
            findWaitMs: settings.ssmFindWaitMs,
          },
        });
        budgets.push(access.budget);
        return { access, send: createSendTogether(access, togetherSettings(settings, address), clock) };
      });
      accesses.set(key, opened);
      opened.catch(() => accesses.delete(key));
    }
    return { ...(await opened), address };
  };

  const depsFor = async (command: NodeCommand): Promise<SsmRunDeps> => {
    const opened = await accessTo(command.target);
    const bucket = outputBucketFor(settings.ssmOutputBuckets, opened.address);
    return { ...opened, bucket, settings, clock };
  };

  return {
    name: 'ssm',
    logStreaming: false,
    stopsWithLink: false,
    resolvesReferences: true,

    async run(asked, sink, stop) {
      checkCommand(asked);
      checkReferences(asked, settings);
      const command = forLogin(asked, AGENT_USER);
      return runOverSsm({ command, sink, stop }, await depsFor(command));
    },

    async adopt(asked, sink, stop, sentAt) {
      const command = forLogin(asked, AGENT_USER);
      return adoptOverSsm({ command, sink, stop }, await depsFor(command), sentAt);
    },

    async probe(target, connectTimeoutMs, signal) {
      const startedMs = clock.now();
      const tooLate = new AbortController();
      const cancelTimer = clock.after(connectTimeoutMs, () => tooLate.abort());
      try {
        const { access, address } = await accessTo(target);
        const instance = await access.read(
          (api) => api.instance(address.instanceId),
          AbortSignal.any([signal, tooLate.signal]),
        );
        const error = offlineError(target, address, instance);
        return NodeProbe.fromPartial({
          authenticated: instance !== undefined,
          connect: toDuration(clock.now() - startedMs),
          ...(instance === undefined ? {} : { ssmAgent: instance }),
          error: error && toEps(error, { source: 'lmm', facts: { node: target.name } }),
        });
      } catch (thrown) {
        const error = probeError(thrown, target.name);
        return NodeProbe.fromPartial({
          error: toEps(error, { source: 'lmm', facts: { node: target.name } }),
        });
      } finally {
        cancelTimer();
      }
    },

    budgets: () => budgets,

    async close() {
      isClosed = true;
      for (const opening of accesses.values()) {
        const opened = await opening.catch(() => undefined);
        opened?.access.close();
      }
      accesses.clear();
    },
  };
}

function togetherSettings(settings: SsmSettings, address: SsmAddress): TogetherSettings {
  const outputBucket = outputBucketFor(settings.ssmOutputBuckets, address);
  return {
    ...sendSettings(settings),
    document: settings.ssmDocument,
    deliverySeconds: deliverySeconds(settings),
    script: {
      bytesMax: settings.ssmCommandBytesMax,
      form: settings.ssmDocumentForm,
      wholeBytesMax: outputBucket === undefined ? 0 : settings.ssmOutputBytesMax,
    },
    outputBucket,
    groupWaitMs: settings.ssmGroupWaitMs,
  };
}

/** Where the target is. Throws FIELD_MALFORMED and CREDENTIAL_NOT_ALLOWED. */
function checkAddress({ name, ssm }: NodeTarget, settings: SsmSettings): SsmAddress {
  const wrong = (field: string, value: string, expectedFormat: string): RuneError =>
    new RuneError('FIELD_MALFORMED', `${name} has no usable ${field} for Systems Manager.`, {
      node: name,
      field: `target.ssm.${field}`,
      originalValue: value,
      expectedFormat,
    });
  const { instanceId, region, roleArn } = ssm ?? { instanceId: '', region: '', roleArn: '' };
  if (!INSTANCE_ID.test(instanceId)) throw wrong('instance_id', instanceId, 'i- or mi- and 8 to 17 digits');
  if (!REGION.test(region)) throw wrong('region', region, 'such as eu-central-1');
  if (roleArn !== '' && !settings.ssmRoles.includes(roleArn)) {
    const message = `The role ${roleArn} of ${name} is not among ssm.roles of this mediator.`;
    throw new RuneError('CREDENTIAL_NOT_ALLOWED', message, { node: name });
  }
  return { instanceId, region, roleArn };
}

/** Throws SSM_PARAMETER_NOT_ALLOWED. */
function checkReferences(
  { references = [], target, runId }: NodeCommand,
  { ssmParameters }: SsmSettings,
): void {
  const isAllowed = (name: string): boolean =>
    ssmParameters.some((each) => (each.endsWith('/') ? name.startsWith(each) : name === each));
  const wrong = references.find(({ name }) => !isAllowed(name));
  if (wrong === undefined) return;
  throw new RuneError(
    'SSM_PARAMETER_NOT_ALLOWED',
    `The parameter ${wrong.parameter} refers to ${wrong.name}, which is not among ssm.parameters of this mediator.`,
    { node: target.name, runId, field: `params.${wrong.parameter}` },
  );
}

function offlineError(
  { name }: NodeTarget,
  { instanceId, region }: SsmAddress,
  instance: SsmInstance | undefined,
): RuneError | undefined {
  if (instance === undefined) {
    const message = `Systems Manager knows no instance ${instanceId} in ${region}.`;
    return new RuneError('SSM_INSTANCE_UNKNOWN', message, { node: name });
  }
  if (instance.pingStatus === ONLINE) return undefined;
  const message = `The SSM agent of ${name} is not online: ${instance.pingStatus || 'unknown'}.`;
  return new RuneError('SSM_NOT_DELIVERED', message, { node: name });
}

function probeError(thrown: unknown, node: string): RuneError {
  if (!(thrown instanceof SsmFault)) {
    return thrown instanceof RuneError ? thrown : unavailableError(undefined, { node });
  }
  return thrown.kind === 'refused' ? refusalError(thrown, { node }) : unavailableError(thrown, { node });
}
