import {
  bytesSetting,
  choiceSetting,
  durationSetting,
  flagSetting,
  integerSetting,
  listSetting,
  textSetting,
} from '../../../shared/settings/settings.js';
import type { SettingsOf } from '../../../shared/settings/settings.js';
import { OUTPUT_BUCKET } from './output-bucket.js';
import type { SendSettings } from './send-command.js';

/** Settings of the transport `ssm`; docs/configuration.md shows the same table. */
export const SSM_SETTINGS = {
  ssmEnabled: flagSetting({
    name: 'ssm.enabled',
    default: false,
    doc: 'Offer the transport `ssm`: run plugins through AWS Systems Manager, see docs/ssm.md.',
  }),
  ssmRoles: listSetting({
    name: 'ssm.roles',
    default: [],
    each: { kind: 'the ARN of an IAM role', pattern: /^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/ },
    doc: 'Roles that an inventory may name as `role_arn`; any other is refused.',
  }),
  ssmDocument: textSetting({
    name: 'ssm.document',
    default: 'AWS-RunShellScript',
    doc: 'Name or ARN of the command document.',
  }),
  ssmDocumentForm: choiceSetting(['commands', 'typed'], {
    name: 'ssm.document_form',
    default: 'commands',
    doc: '`typed` for the document deploy/ssm/RUNE-Run.json, `commands` for one that takes any script, as that of AWS does.',
  }),
  ssmEndpoint: textSetting({
    name: 'ssm.endpoint',
    doc: 'URL of Systems Manager, such as that of a VPC endpoint; without it the one of the region.',
  }),
  ssmParameters: listSetting({
    name: 'ssm.parameters',
    default: [],
    each: {
      kind: 'a name in Parameter Store, or the beginning of names up to a last "/"',
      pattern: /^[\w./-]+$/,
    },
    doc: 'Parameters that a reference in a secret parameter of an action may name; any other is refused.',
  }),
  ssmOutputBuckets: listSetting({
    name: 'ssm.output_buckets',
    default: [],
    each: {
      kind: 'BUCKET or BUCKET/PREFIX, after REGION= or ACCOUNT= if it is not for all',
      pattern: OUTPUT_BUCKET,
    },
    doc: 'Buckets of S3 for outputs that are too long for Systems Manager; the first counts that is for the region, or for the account of the role.',
  }),
  ssmOutputBytesMax: bytesSetting({
    name: 'ssm.output_max',
    default: '4MiB',
    min: '64KiB',
    max: '32MiB',
    doc: 'Of each output of a plugin that goes through a bucket; longer ones are cut as without it.',
  }),
  ssmOutputWaitMs: durationSetting({
    name: 'ssm.output_wait',
    default: '15s',
    min: '100ms',
    max: '5m',
    doc: 'How long an output is waited for that is not in its bucket yet, or may not be read.',
  }),
  ssmS3Endpoint: textSetting({
    name: 'ssm.s3_endpoint',
    doc: 'URL of S3, such as that of a VPC endpoint; without it the one of the region.',
  }),
  ssmStsEndpoint: textSetting({
    name: 'ssm.sts_endpoint',
    doc: 'URL of the Security Token Service, for roles; without it the one of the region.',
  }),
  ssmRequestsPerSecond: integerSetting({
    name: 'ssm.requests_per_second',
    default: 10,
    min: 1,
    max: 1000,
    doc: 'Requests to Systems Manager for each region and role; fewer for a while after each that it throttles.',
  }),
  ssmRequestTimeoutMs: durationSetting({
    name: 'ssm.request_timeout',
    default: '10s',
    min: '100ms',
    max: '5m',
    doc: 'A request that is not answered in this time counts as failed.',
  }),
  ssmSendWaitMs: durationSetting({
    name: 'ssm.send_wait',
    default: '2m',
    min: '1s',
    max: '1h',
    doc: 'How long a run waits until its command is accepted, while others are sent or the service throttles.',
  }),
  ssmGroupWaitMs: durationSetting({
    name: 'ssm.group_wait',
    default: '50ms',
    min: '0ms',
    max: '1s',
    doc: 'How long a run of a fan-out waits for others that one command can carry with it; 0 for a command for each.',
  }),
  ssmDeliveryTimeoutMs: durationSetting({
    name: 'ssm.delivery_timeout',
    default: '1m',
    min: '30s',
    max: '30d',
    doc: 'A command that has not reached its node in this time never runs.',
  }),
  ssmQueueWaitMs: durationSetting({
    name: 'ssm.queue_wait',
    default: '10m',
    min: '1s',
    max: '24h',
    doc: 'How long a command may wait on its node for others: an agent runs five at a time. Then it is cancelled.',
  }),
  ssmFindWaitMs: durationSetting({
    name: 'ssm.find_wait',
    default: '30s',
    min: '1s',
    max: '10m',
    doc: 'How long a command is looked for that the service does not show yet, or whose answer was lost.',
  }),
  ssmPollFirstMs: durationSetting({
    name: 'ssm.poll_first',
    default: '500ms',
    min: '10ms',
    max: '1m',
    doc: 'Time from sending a command to the first look at it; each next one comes later, …',
  }),
  ssmPollMaxMs: durationSetting({
    name: 'ssm.poll_max',
    default: '10s',
    min: '10ms',
    max: '5m',
    doc: '… up to this long after the one before.',
  }),
  ssmCommandBytesMax: bytesSetting({
    name: 'ssm.command_max',
    default: '48KiB',
    min: '16KiB',
    max: '60KiB',
    doc: 'Plugin, parameters and what carries them, compressed; more is SSM_COMMAND_TOO_LARGE.',
  }),
} as const;

/** The settings of the transport `ssm`. Times in milliseconds. */
export type SsmSettings = SettingsOf<typeof SSM_SETTINGS>;

/** The service takes no less. */
const DELIVERY_SECONDS_MIN = 30;

/** What a command is told about its time for delivery. */
export function deliverySeconds({ ssmDeliveryTimeoutMs }: SsmSettings): number {
  return Math.max(DELIVERY_SECONDS_MIN, Math.ceil(ssmDeliveryTimeoutMs / 1000));
}

/** How long sending a command, and finding it, may take. */
export function sendSettings({ ssmSendWaitMs, ssmFindWaitMs }: SsmSettings): SendSettings {
  return { sendWaitMs: ssmSendWaitMs, findWaitMs: ssmFindWaitMs };
}
