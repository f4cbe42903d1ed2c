import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AwsError } from '../ssm/aws-error.js';
import { answerTokenService } from '../ssm/operations/assume-role.js';
import { verifySignature, type Caller, type SigningKey } from '../ssm/verify-signature.js';
import { describeInstances, type TestEc2Instance } from './describe-instances.js';

/** What calls meet until it is taken away. */
export type Ec2Fault = 'throttled' | 'denied' | 'stalled' | 'garbled';

/** EC2 and the token service on loopback: the Query protocol (form and XML), every signature verified. */
export interface Ec2Endpoint {
  readonly url: string;
  readonly region: string;
  /** What a process needs in its environment to use it. */
  readonly env: Readonly<Record<string, string>>;
  /** What there is; a test changes it as it likes. */
  instances: readonly TestEc2Instance[];
  /** So many calls meet the fault, or all. */
  inject(fault: Ec2Fault, times?: number): void;
  /** Every call as its form, with who made it. */
  readonly calls: readonly { readonly form: Readonly<Record<string, string>>; readonly arn: string }[];
  stop(): Promise<void>;
}

const ACCOUNT = '123456789012';
const REGION = 'us-east-1';
const ERRORS = {
  throttled: () => new AwsError('RequestLimitExceeded', 'Request limit exceeded.', 503),
  denied: () =>
    new AwsError('UnauthorizedOperation', 'You are not authorized to perform this operation.', 403),
};

/** Starts one; `granted` are the roles that may be assumed, `pageMax` bounds the instances of a page. */
export async function startEc2Endpoint({
  instances = [],
  granted = [],
  pageMax = 1_000,
}: {
  readonly instances?: readonly TestEc2Instance[];
  readonly granted?: readonly string[];
  readonly pageMax?: number;
}): Promise<Ec2Endpoint> {
  const key: SigningKey = {
    accessKeyId: 'AKIATESTTESTTESTTEST',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYTESTKEY',
    account: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/rune`,
  };
  const service = {
    keys: new Map([[key.accessKeyId, key]]),
    roles: new Map<string, string | undefined>(granted.map((arn) => [arn, arn.split(':')[4]])),
  };
  const calls: { form: Record<string, string>; arn: string }[] = [];
  const faults: Ec2Fault[] = [];

  const perform = (caller: Caller, form: URLSearchParams): string => {
    calls.push({ form: Object.fromEntries(form), arn: caller.key.arn });
    if (caller.service === 'sts') return answerTokenService(service, caller, form);
    if (caller.service !== 'ec2' || form.get('Action') !== 'DescribeInstances')
      throw new AwsError('InvalidAction', 'The action is not valid for this web service.');
    return describeInstances(endpoint.instances, caller.region, form, pageMax);
  };

  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const { method = '', url = '/', headers } = request;
      const form = new URLSearchParams(body.toString());
      const reply = (status: number, text: string): void =>
        void response.writeHead(status, { 'content-type': 'text/xml;charset=UTF-8' }).end(text);
      try {
        const caller = verifySignature({ method, url, headers, body }, service.keys, [REGION], Date.now());
        const fault = caller.service === 'ec2' ? faults.shift() : undefined;
        if (fault === 'throttled' || fault === 'denied') throw ERRORS[fault]();
        if (fault === 'stalled') return;
        const answer = perform(caller, form);
        reply(200, fault === 'garbled' ? answer.slice(0, answer.length / 2) : answer);
      } catch (thrown) {
        if (!(thrown instanceof AwsError)) throw thrown;
        reply(thrown.status, errorText(thrown, form.get('Action') === 'AssumeRole'));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const endpoint: Ec2Endpoint = {
    url,
    region: REGION,
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_ACCESS_KEY_ID: key.accessKeyId,
      AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
      // No file of whoever runs the tests has a say.
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    instances,
    inject: (fault, times = 1) => void faults.push(...Array.from({ length: times }, () => fault)),
    calls,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
  return endpoint;
}

/** The two services have each their own shape of it. */
function errorText({ type, message }: AwsError, isTokenService: boolean): string {
  const error = `<Code>${type}</Code><Message>${message}</Message>`;
  return isTokenService
    ? `<ErrorResponse><Error><Type>Sender</Type>${error}</Error><RequestId>test</RequestId></ErrorResponse>`
    : `<Response><Errors><Error>${error}</Error></Errors><RequestID>test</RequestID></Response>`;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
