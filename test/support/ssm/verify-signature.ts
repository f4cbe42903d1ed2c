import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { AwsError } from './aws-error.js';

/** Credentials that the endpoint knows, and whose they are. */
export interface SigningKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Only for the credentials of a role's session. */
  readonly sessionToken?: string;
  /** Unix time in ms; undefined for credentials that last. */
  readonly expiresAtMs?: number;
  readonly account: string;
  /** Who signs with it. */
  readonly arn: string;
}

/** Who called, and which region and service the signature is for. */
export interface Caller {
  readonly key: SigningKey;
  readonly account: string;
  readonly region: string;
  readonly service: string;
}

/** What a signature is about. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What AWS grants a clock that is wrong. */
const SKEW_MS_MAX = 300_000;
const ALGORITHM = 'AWS4-HMAC-SHA256';
/** The services that one server plays; a signature says for which of them it is. */
const SERVICES = ['ssm', 'sts', 's3', 'ec2'];

/**
 * Recomputes a request's signature (version 4) with the secret of the key that it names, and throws an AwsError where anything
 * differs: the body, a signed header, the date, the region, the service.
 */
export function verifySignature(
  request: SignedRequest,
  keys: ReadonlyMap<string, SigningKey>,
  regions: readonly string[],
  nowMs: number,
): Caller {
  const { headers, body } = request;
  const authorization = headers.authorization;
  if (authorization === undefined)
    throw new AwsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (found === null) throw new AwsError('IncompleteSignatureException', 'The signature cannot be read.');
  const [, keyId = '', day = '', region = '', service = '', names = '', signature = ''] = found;
  const key = keys.get(keyId);
  const token = one(headers['x-amz-security-token']);
  if (key === undefined || key.sessionToken !== token)
    throw new AwsError(
      'UnrecognizedClientException',
      'The security token included in the request is invalid.',
    );
  if (key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs)
    throw new AwsError('ExpiredTokenException', 'The security token included in the request is expired');

  const date = one(headers['x-amz-date']) ?? '';
  const sentAtMs = Date.parse(
    date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'),
  );
  if (!(Math.abs(sentAtMs - nowMs) <= SKEW_MS_MAX) || !date.startsWith(day))
    throw mismatch(`Signature expired or not yet current: ${date} is not now.`);
  if (!SERVICES.includes(service)) throw mismatch(`Credential should be scoped to correct service.`);
  if (!regions.includes(region)) throw mismatch('Credential should be scoped to a valid region.');
  const signed = names.split(';');
  const mustBeSigned = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const unsigned = mustBeSigned.filter((name) => !signed.includes(name));
  if (unsigned.length > 0) throw mismatch(`These headers must be signed: ${unsigned.join()}`);

  const bodyHash = sha256(body);
  const claimedHash = one(headers['x-amz-content-sha256']) ?? bodyHash;
  if (claimedHash !== bodyHash) throw mismatch('The body is not the one that was hashed.');
  const [path = '/', query = ''] = request.url.split('?');
  const canonical = [
    request.method,
    // All but S3 encode what is encoded already.
    service === 's3' ? path : path.split('/').map(encodeURIComponent).join('/'),
    query.split('&').toSorted().join('&'),
    ...signed.map((name) => `${name}:${(one(headers[name]) ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names,
    bodyHash,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = [ALGORITHM, date, scope, sha256(Buffer.from(canonical))].join('\n');
  const signingKey = [day, region, service, 'aws4_request'].reduce<Buffer>(
    (previous, part) => hmac(previous, part),
    Buffer.from(`AWS4${key.secretAccessKey}`),
  );
  if (!timingSafeEqual(hmac(signingKey, text), Buffer.from(signature, 'hex')))
    throw mismatch(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.',
    );
  return { key, account: key.account, region, service };
}

const mismatch = (message: string): AwsError => new AwsError('InvalidSignatureException', message);

const one = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(',') : value;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
