import type { SsmAddress } from '../../../shared/gen/rune/v1/run.js';

/** Where in S3 agents put the whole of what scripts print. */
export interface OutputBucket {
  readonly name: string;
  /** What the keys begin with, without a last "/"; may be empty. */
  readonly keyPrefix: string;
}

/** One item of the setting: `[REGION=|ACCOUNT=]BUCKET[/PREFIX]`. */
export const OUTPUT_BUCKET =
  /^(?:([a-z]{2}(?:-[a-z0-9]+)+-\d|\d{12})=)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w.-]+(?:\/[\w.-]+)*))?$/;

/** The first bucket that is for the region of a node, for the account of its role, or for all; undefined for none. */
export function outputBucketFor(
  buckets: readonly string[],
  { region, roleArn }: Pick<SsmAddress, 'region' | 'roleArn'>,
): OutputBucket | undefined {
  const account = roleArn.split(':')[4];
  for (const each of buckets) {
    const [, where, name, keyPrefix = ''] = OUTPUT_BUCKET.exec(each) ?? [];
    if (name !== undefined && (where === undefined || where === region || where === account))
      return { name, keyPrefix };
  }
  return undefined;
}

/**
 * The key of an object by its URL as the service gives it; undefined for one that is not below the command and instance in the bucket,
 * or is written in another way than these are.
 */
export function keyOfOutput(
  url: string,
  bucket: OutputBucket,
  { commandId, instanceId }: { readonly commandId: string; readonly instanceId: string },
): string | undefined {
  const [, host = '', path = ''] = /^https:\/\/([^/]+)\/([\w./-]{1,1500})$/.exec(url) ?? [];
  // S3 has two ways to write it.
  const root = host.startsWith(`${bucket.name}.s3`) ? '' : `${bucket.name}/`;
  const prefix = [bucket.keyPrefix, commandId, instanceId, ''].filter(
    (part, index) => index > 0 || part !== '',
  );
  return path.startsWith(root + prefix.join('/')) ? path.slice(root.length) : undefined;
}
