import { AwsError } from '../ssm/aws-error.js';

/** An instance of the test endpoint. */
export interface TestEc2Instance {
  readonly id: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Default: running. */
  readonly state?: 'pending' | 'running' | 'stopped' | 'shutting-down' | 'terminated';
  readonly privateIp?: string;
  readonly publicIp?: string;
  readonly ipv6?: string;
  /** Default: us-east-1. */
  readonly region?: string;
}

const PAGE_ITEMS_LEAST = 5;
const PAGE_ITEMS_MOST = 1_000;
const TYPE = 't3.micro';
const VPC = 'vpc-0a1b2c3d';

/** Answers DescribeInstances, each instance in a reservation of its own. `pageMax` is less than a caller may ask for. */
export function describeInstances(
  all: readonly TestEc2Instance[],
  region: string,
  form: URLSearchParams,
  pageMax: number,
): string {
  const filters = filtersOf(form);
  const found = all.filter(
    (each) =>
      (each.region ?? 'us-east-1') === region &&
      filters.every(({ name, values }) => values.some((value) => matches(value, valueOf(each, name)))),
  );
  const asked = Number(form.get('MaxResults') ?? PAGE_ITEMS_MOST);
  if (!(asked >= PAGE_ITEMS_LEAST && asked <= PAGE_ITEMS_MOST))
    throw new AwsError('InvalidParameterValue', `Value ( ${asked} ) for parameter maxResults is invalid.`);
  const token = form.get('NextToken');
  const from = token === null ? 0 : Number(/^page-(\d+)$/.exec(token)?.[1] ?? NaN);
  if (Number.isNaN(from)) throw new AwsError('InvalidNextToken', 'The token is not valid.');
  const next = from + Math.min(asked, pageMax);
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
    '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>test</requestId>' +
    `<reservationSet>${found.slice(from, next).map(show).join('')}</reservationSet>` +
    `${next < found.length ? `<nextToken>page-${next}</nextToken>` : ''}</DescribeInstancesResponse>`
  );
}

function filtersOf(form: URLSearchParams): { readonly name: string; readonly values: readonly string[] }[] {
  const filters = [];
  for (let index = 1; form.has(`Filter.${index}.Name`); index += 1) {
    const values: string[] = [];
    for (let at = 1; form.has(`Filter.${index}.Value.${at}`); at += 1)
      values.push(form.get(`Filter.${index}.Value.${at}`) ?? '');
    filters.push({ name: form.get(`Filter.${index}.Name`) ?? '', values });
  }
  return filters;
}

function valueOf({ id, tags = {}, state = 'running' }: TestEc2Instance, name: string): string | undefined {
  const tag = /^tag:(.+)$/.exec(name)?.[1];
  if (tag !== undefined) return tags[tag];
  switch (name) {
    case 'instance-id':
      return id;
    case 'instance-state-name':
      return state;
    case 'vpc-id':
      return VPC;
    default:
      throw new AwsError('InvalidParameterValue', `The filter '${name}' is invalid`);
  }
}

/** A star in a filter's value stands for any text. */
function matches(pattern: string, value: string | undefined): boolean {
  if (value === undefined) return false;
  const literal = pattern.split('*').map((part) => part.replaceAll(/[$()+.?[\\\]^{|}]/g, String.raw`\$&`));
  return new RegExp(`^${literal.join('.*')}$`, 's').test(value);
}

function show({ id, tags = {}, state = 'running', region = 'us-east-1', ...has }: TestEc2Instance): string {
  const address = (name: string, value: string | undefined): string =>
    value === undefined ? '' : `<${name}>${value}</${name}>`;
  const tagItems = Object.entries(tags).map(
    ([key, value]) => `<item><key>${escape(key)}</key><value>${escape(value)}</value></item>`,
  );
  return (
    `<item><reservationId>r-${id.slice(2)}</reservationId><groupSet/><instancesSet><item><instanceId>${id}</instanceId>` +
    `<instanceState><code>16</code><name>${state}</name></instanceState><instanceType>${TYPE}</instanceType>` +
    `<placement><availabilityZone>${region}a</availabilityZone></placement><vpcId>${VPC}</vpcId>` +
    address('privateIpAddress', has.privateIp) +
    address('ipAddress', has.publicIp) +
    address('ipv6Address', has.ipv6) +
    `<tagSet>${tagItems.join('')}</tagSet></item></instancesSet></item>`
  );
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escape = (text: string): string =>
  text
    .replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? '')
    .replaceAll(/[\n\r\t]/g, (character) => `&#x${character.charCodeAt(0).toString(16)};`);
