import { abortable } from '../../../shared/abortable.js';
import type { SourceReading } from '../source-reading.js';
import type { AwsSource } from './aws-config.js';
import { inventoryOfInstances } from './inventory-of-instances.js';

const MESSAGE_CHARS_MAX = 300;
const THROTTLED = new Set([
  'RequestLimitExceeded',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
]);
const CREDENTIALS = new Set(['CredentialsProviderError', 'TokenProviderError', 'ProviderError']);

/** Asks AWS for the instances of the source. The SDK is loaded only here and only now: it takes most of a second. */
export async function readAws(
  source: AwsSource,
  limits: { readonly timeoutMs: number; readonly bytesMax: number },
): Promise<SourceReading> {
  const signal = AbortSignal.timeout(limits.timeoutMs);
  try {
    const call = { timeoutMs: limits.timeoutMs, signal };
    const list =
      source.kind === 'ec2'
        ? import('./list-ec2.js').then(({ listEc2 }) => listEc2(source, call))
        : import('./list-managed.js').then(({ listManaged }) => listManaged(source, call));
    const { nodes, notes } = inventoryOfInstances(await abortable(list, signal), source);
    const bytes = Buffer.from(JSON.stringify({ nodes }, undefined, 1));
    if (bytes.length > limits.bytesMax) return { refusal: `told more than ${limits.bytesMax} bytes` };
    return { bytes, notes };
  } catch (thrown) {
    return {
      refusal: signal.aborted ? `did not answer within ${limits.timeoutMs / 1000} s` : whyRefused(thrown),
    };
  }
}

/** A failure of the SDK in words that follow the name of the service. */
function whyRefused(thrown: unknown): string {
  const { name, message, code, $metadata } = thrown as Partial<Error> & {
    code?: unknown;
    $metadata?: { httpStatusCode?: number };
  };
  // The SDK adds hints for programmers on lines of their own.
  const words = JSON.stringify(message?.split('\n')[0] ?? '')
    .slice(1, -1)
    .slice(0, MESSAGE_CHARS_MAX)
    .trim();
  const said = words === '' ? name : `${name}, ${words.replace(/\.$/, '')}`;
  if (THROTTLED.has(name ?? '')) return `throttled the requests (${name})`;
  if (CREDENTIALS.has(name ?? '')) return `cannot be asked without credentials: ${said}`;
  if (typeof code === 'string') return `cannot be reached (${code})`;
  const isRefusal = ($metadata?.httpStatusCode ?? 0) >= 400;
  return isRefusal ? `refused: ${said}` : `cannot be understood: ${said}`;
}
