import { isLoopbackHost } from '../../../shared/rpc/rpc-address.js';
import type { FaultPath } from '../../../shared/fault.js';
import {
  LABEL_KEY_RULE,
  REGION_RULE,
  ROLE_ARN_RULE,
  type TextRule,
} from '../../inventory/inventory-rules.js';
import { readTemplate, type Template } from './template.js';

/** Instances of EC2, or managed nodes of Systems Manager, in one region as nodes. */
export interface AwsSource {
  readonly kind: 'ec2' | 'ssm';
  readonly region: string;
  /** A role to assume; the identity of the process if not given. */
  readonly roleArn: string | undefined;
  /** URLs of the services; those of the region if not given. */
  readonly endpoint: string | undefined;
  readonly stsEndpoint: string | undefined;
  /** As the service takes them: what passes all of them is a node. */
  readonly filters: readonly AwsFilter[];
  /** Which address of an instance nodes are reached by over SSH. */
  readonly address: 'private' | 'public';
  readonly transports: readonly string[];
  readonly name: Template;
  readonly groups: readonly Template[];
  /** By the key of the label. */
  readonly labels: ReadonlyMap<string, Template>;
}

/** A filter of the service: one of the values must be met. */
export interface AwsFilter {
  readonly name: string;
  readonly values: readonly string[];
}

/** Tells what is wrong with the part at this path of the source. */
export type AwsFault = (path: FaultPath, message: string) => void;

const COMMON_KEYS = ['region', 'role_arn', 'endpoint', 'sts_endpoint', 'filters', 'name', 'groups', 'labels'];
const KEYS = { ec2: [...COMMON_KEYS, 'address', 'transport', 'transports'], ssm: COMMON_KEYS };
const FIELDS = {
  ec2: ['id', 'region', 'availability_zone', 'instance_type', 'vpc_id'],
  ssm: ['id', 'region', 'name'],
};
const TRANSPORTS = ['ssh', 'openssh', 'ssm'];
/** What the services take. */
const FILTERS_MAX = 50;
const FILTER_VALUES_MAX = 100;
const TEMPLATES_MAX = 20;

const isText = (raw: unknown): raw is string => typeof raw === 'string' && raw !== '';
const isObject = (raw: unknown): raw is Record<string, unknown> =>
  typeof raw === 'object' && raw !== null && !Array.isArray(raw);

/** Reads what `ec2` or `ssm` of a source holds; undefined after a fault. */
export function readAwsSource(kind: AwsSource['kind'], raw: unknown, tell: AwsFault): AwsSource | undefined {
  if (!isObject(raw)) {
    tell([], 'must be a map');
    return undefined;
  }
  let isGood = true;
  const fault: AwsFault = (path, message) => {
    isGood = false;
    tell(path, message);
  };
  for (const key of Object.keys(raw))
    if (!KEYS[kind].includes(key)) fault([key], `is none of ${KEYS[kind].join(', ')}`);
  const text = (key: string, isMet: (text: string) => boolean, description: string): string | undefined => {
    const value = raw[key];
    if (value === undefined) return undefined;
    if (isText(value) && isMet(value)) return value;
    fault([key], description);
    return undefined;
  };
  const ruled = (key: string, { isMet, description }: TextRule): string | undefined =>
    text(key, isMet, description);
  const url = (key: string): string | undefined =>
    text(key, isServiceUrl, 'must be an https:// address, or an http:// one of this host');
  const template = (value: unknown, path: FaultPath): Template => {
    const isField = (name: string): boolean =>
      FIELDS[kind].includes(name) || (kind === 'ec2' && /^tag:./.test(name));
    const fields = `${FIELDS[kind].map((name) => `{${name}}`).join(', ')}${kind === 'ec2' ? ' and {tag:KEY}' : ''}`;
    const read = isText(value) ? readTemplate(value, isField, fields) : 'must be a text';
    if (typeof read !== 'string') return read;
    fault(path, read);
    return { text: '', parts: [] };
  };

  const region = ruled('region', REGION_RULE);
  if (raw['region'] === undefined) fault(['region'], 'is required');
  const source: AwsSource = {
    kind,
    region: region ?? '',
    roleArn: ruled('role_arn', ROLE_ARN_RULE),
    endpoint: url('endpoint'),
    stsEndpoint: url('sts_endpoint'),
    filters: readFilters(raw['filters'] ?? {}, fault),
    address: addressOf(raw['address'], fault),
    transports: transportsOf(kind, raw, fault),
    name: template(raw['name'] ?? '{id}', ['name']),
    groups: listOf(raw['groups'], 'groups', fault).map((each, index) => template(each, ['groups', index])),
    labels: new Map(
      labelsOf(raw['labels'], fault).map(([key, value]) => [key, template(value, ['labels', key])]),
    ),
  };
  return isGood ? source : undefined;
}

/** Requests are signed and answers are not: only TLS tells from whom those are. */
function isServiceUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, password } = new URL(text);
  return password === '' && (protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname)));
}

function readFilters(raw: unknown, fault: AwsFault): AwsFilter[] {
  if (!isObject(raw) || Object.keys(raw).length > FILTERS_MAX) {
    fault(
      ['filters'],
      `must be a map of at most ${FILTERS_MAX} filters, each with its value or a list of them`,
    );
    return [];
  }
  return Object.entries(raw).flatMap(([name, value]) => {
    const values: unknown[] = Array.isArray(value) ? value : [value];
    const isGood = values.length > 0 && values.length <= FILTER_VALUES_MAX;
    if (isGood && values.every(isText)) return [{ name, values }];
    fault(
      ['filters', name],
      `must be a text (in quotes if it looks like a number), or a list of up to ${FILTER_VALUES_MAX}`,
    );
    return [];
  });
}

function addressOf(raw: unknown, fault: AwsFault): AwsSource['address'] {
  if (raw === undefined || raw === 'private' || raw === 'public') return raw ?? 'private';
  fault(['address'], 'must be private or public');
  return 'private';
}

function transportsOf(
  kind: AwsSource['kind'],
  { transport, transports }: Record<string, unknown>,
  fault: AwsFault,
): string[] {
  if (kind === 'ssm') return ['ssm'];
  const key = transports === undefined ? 'transport' : 'transports';
  if (transport !== undefined && transports !== undefined)
    fault(['transport'], 'does not go together with transports');
  const list: unknown = transports ?? [transport ?? 'ssh'];
  const isKnown = (each: unknown): each is string => isText(each) && TRANSPORTS.includes(each);
  if (Array.isArray(list) && list.length > 0 && list.every(isKnown) && new Set(list).size === list.length)
    return list;
  fault([key], `must be of ${TRANSPORTS.join(', ')}, each once`);
  return [];
}

function listOf(raw: unknown, key: string, fault: AwsFault): unknown[] {
  if (raw === undefined) return [];
  if (Array.isArray(raw) && raw.length <= TEMPLATES_MAX) return raw;
  fault([key], `must be a list of at most ${TEMPLATES_MAX} texts`);
  return [];
}

function labelsOf(raw: unknown, fault: AwsFault): [string, unknown][] {
  if (raw === undefined) return [];
  if (!isObject(raw) || Object.keys(raw).length > TEMPLATES_MAX) {
    fault(['labels'], `must be a map of at most ${TEMPLATES_MAX} texts`);
    return [];
  }
  for (const key of Object.keys(raw))
    if (!LABEL_KEY_RULE.isMet(key)) fault(['labels', key], LABEL_KEY_RULE.description);
  return Object.entries(raw);
}
