import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { answerCall } from './answer-call.js';
import { AwsError } from './aws-error.js';
import { errorOfFault, type CallFaults } from './call-faults.js';
import type { CallRate } from './call-rate.js';
import { getObject } from './operations/get-object.js';
import { answerTokenService } from './operations/assume-role.js';
import type { RecordWriter } from './record.js';
import type { Service } from './service.js';
import { verifySignature, type Caller } from './verify-signature.js';

/** What stands around the operations. */
export interface ServeOptions {
  readonly service: Service;
  readonly regions: readonly string[];
  readonly faults: CallFaults;
  readonly rate: CallRate;
  readonly record: RecordWriter;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
}

const JSON_TYPE = 'application/x-amz-json-1.1';
const BODY_BYTES_MAX = 1024 * 1024;

/** An HTTP server, not yet listening, that answers Systems Manager (JSON) and the token service (form and XML). */
export function serveAws(options: ServeOptions): Server {
  return createServer((request, response) => {
    void answer(options, request, response).catch((error: unknown) => {
      // A fault of this program: the caller sees it as it would see one of AWS, and the test its trace.
      console.error(error);
      response.writeHead(500).end();
    });
  });
}

async function answer(
  options: ServeOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { service, regions, faults, rate, record } = options;
  const body = await readBody(request);
  const { name, input } = describeCall(request, body);
  let caller: Caller | undefined;
  const saw = (outcome: string): void =>
    record.sawCall({
      name,
      atMs: Date.now(),
      region: caller?.region ?? '',
      accessKeyId: caller?.key.accessKeyId ?? '',
      input,
      outcome,
    });
  try {
    const { method = '', url = '/', headers } = request;
    caller = verifySignature({ method, url, headers, body }, service.keys, regions, Date.now());
    const fault = faults.meet(name, input);
    if (fault?.kind === 'slow') await wait(fault.delayMs ?? 0);
    if (fault?.kind === 'lost') {
      saw('lost');
      request.socket.destroy();
      return;
    }
    const error = fault === undefined ? undefined : errorOfFault(fault.kind);
    if (error !== undefined && fault?.kind !== 'answer-failed') throw error;
    if (!rate(name, Date.now())) throw new AwsError('ThrottlingException', 'Rate exceeded');
    const answered = perform(service, caller, request, body, name, input);
    if (fault?.kind.startsWith('answer-') === true) {
      saw(fault.kind);
      if (error !== undefined) send(response, errorAnswer(error, serviceOf(request)));
      else if (fault.kind === 'answer-lost') request.socket.destroy();
      else if (fault.kind === 'answer-garbled') {
        const { body: whole, ...rest } = answered;
        send(response, { ...rest, body: whole.slice(0, whole.length / 2) });
      }
      return;
    }
    saw('ok');
    send(response, answered);
  } catch (error) {
    if (!(error instanceof AwsError)) throw error;
    saw(error.type);
    send(response, errorAnswer(error, serviceOf(request)));
  }
}

function describeCall(
  request: IncomingMessage,
  body: Buffer,
): { readonly name: string; readonly input: Readonly<Record<string, unknown>> } {
  const target = request.headers['x-amz-target'];
  if (typeof target === 'string') {
    let input: unknown;
    try {
      input = JSON.parse(body.toString('utf8'));
    } catch {
      input = undefined; // An unreadable body has no members; its signature is checked all the same.
    }
    return {
      name: target.replace(/^AmazonSSM\./, ''),
      input: typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {},
    };
  }
  if (request.method === 'GET') return { name: 'GetObject', input: { path: request.url ?? '' } };
  const form = new URLSearchParams(body.toString('utf8'));
  return { name: form.get('Action') ?? '', input: Object.fromEntries(form) };
}

function perform(
  service: Service,
  caller: Caller,
  request: IncomingMessage,
  body: Buffer,
  name: string,
  input: Readonly<Record<string, unknown>>,
): Answer {
  const wanted = serviceOf(request);
  if (caller.service !== wanted)
    throw new AwsError('InvalidSignatureException', 'Credential should be scoped to correct service.');
  if (wanted === 's3') {
    const { pathname } = new URL(request.url ?? '/', 'http://s3');
    return { type: 'text/plain', ...getObject(service, pathname, request.headers.range) };
  }
  return wanted === 'ssm'
    ? { status: 200, type: JSON_TYPE, body: JSON.stringify(answerCall(service, caller, name, input)) }
    : {
        status: 200,
        type: 'text/xml',
        body: answerTokenService(service, caller, new URLSearchParams(body.toString('utf8'))),
      };
}

function serviceOf(request: IncomingMessage): 'ssm' | 'sts' | 's3' {
  if (request.headers['x-amz-target'] !== undefined) return 'ssm';
  return request.method === 'GET' ? 's3' : 'sts';
}

function errorAnswer({ type, message, status }: AwsError, service: 'ssm' | 'sts' | 's3'): Answer {
  if (service === 's3')
    return {
      status,
      type: 'application/xml',
      body: `<Error><Code>${type}</Code><Message>${message}</Message></Error>`,
    };
  return service === 'ssm'
    ? { status, type: JSON_TYPE, body: JSON.stringify({ __type: type, message }) }
    : {
        status,
        type: 'text/xml',
        body: `<ErrorResponse><Error><Type>Sender</Type><Code>${type}</Code><Message>${message}</Message></Error><RequestId>test</RequestId></ErrorResponse>`,
      };
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'x-amzn-requestid': randomUUID() }).end(body);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let count = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    count += chunk.length;
    if (count <= BODY_BYTES_MAX) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
