import type { Invocation } from './command.js';

/** Where in S3 the whole of one stream is, or is to be; empty without a bucket. */
export function outputUrl({ command, instanceId }: Invocation, stream: 'stdout' | 'stderr'): string {
  const { bucket, keyPrefix } = command.output;
  if (bucket === '') return '';
  const key = [keyPrefix, command.id, instanceId, command.step.outputFolder, stream];
  const path = key.filter((part) => part !== '').join('/');
  return `https://s3.${command.scope.region}.amazonaws.com/${bucket}/${path}`;
}
