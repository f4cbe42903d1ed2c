import { AwsError } from '../aws-error.js';
import type { Service } from '../service.js';

/** An object of S3, or the range of it that was asked for, by the path "/BUCKET/KEY". */
export function getObject(
  service: Service,
  path: string,
  range: string | undefined,
): { readonly status: number; readonly body: Buffer } {
  const [bucket = ''] = path.slice(1).split('/');
  if (!service.buckets.has(bucket))
    throw new AwsError('NoSuchBucket', 'The specified bucket does not exist', 404);
  const found = service.objects.get(path.slice(1));
  if (found === undefined) throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404);
  const [, first = '0', last = ''] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  return last === ''
    ? { status: 200, body: found }
    : { status: 206, body: found.subarray(Number(first), Number(last) + 1) };
}
