import assert from 'node:assert/strict';
import { Metadata } from '@grpc/grpc-js';
import { fromEps, toEps } from '../../../services/shared/messages/eps.js';
import { ERRORS, GRPC_STATUS, RuneError } from '../../../services/shared/errors.js';
import type { ErrorName } from '../../../services/shared/errors.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../../../services/shared/gen/google/rpc/error_details.js';
import { Status } from '../../../services/shared/gen/google/rpc/status.js';
import { ErrorClassification, EpsError, Severity } from '../../../services/shared/gen/rune/v1/eps.js';
import { Priority, RcsHeader } from '../../../services/shared/gen/rune/v1/rcs.js';
import { errorOfStatus, statusOf } from '../../../services/shared/rpc/rpc-status.js';

const SOURCE = 'rune-test';
const NAMES = Object.keys(ERRORS) as ErrorName[];

function fingerprint(error: RuneError, source = SOURCE): string | undefined {
  return toEps(error, { source }).observability?.errorFingerprint;
}

describe('an error as an EPS message', () => {
  it('carries code, name, message, facts and what the table says of it', () => {
    const error = new RuneError('NODE_UNREACHABLE', 'web01 does not answer.', {
      node: 'web01',
      action: 'noop',
    });
    const eps = toEps(error, { source: SOURCE, facts: { executionId: 'e', node: 'other' } });
    assert.equal(eps.errorData?.code, -32405);
    assert.equal(eps.errorData.name, 'NODE_UNREACHABLE');
    assert.equal(eps.errorData.message, 'web01 does not answer.');
    assert.equal(eps.errorData.data?.node, 'web01', 'what the error itself knows comes first');
    assert.equal(eps.errorData.data.executionId, 'e');
    assert.equal(eps.errorContext?.errorClassification, ErrorClassification.SYSTEM_ERROR);
    assert.equal(eps.errorContext.severity, Severity.MEDIUM);
    assert.equal(eps.errorContext.retryRecommended, true);
    assert.deepEqual(eps.errorContext.recoveryActions, [
      'Nothing ran. Check that web01 is up and that address and port are right: rune nodes show web01',
    ]);
    assert.equal(eps.messageMetadata?.priority, Priority.NORMAL);
    assert.equal(eps.routing?.sourceModule, SOURCE);
  });

  it('answers the request whose header it is given; "unknown" stands for what could not be read', () => {
    const error = new RuneError('INTERNAL', 'x');
    const header = RcsHeader.fromPartial({
      messageMetadata: { messageId: 'm', correlationId: 'c' },
      observability: { traceId: 't', spanId: 's' },
    });
    const answer = toEps(error, { source: SOURCE, header });
    assert.equal(answer.messageMetadata?.parentMessageId, 'm');
    assert.equal(answer.messageMetadata.correlationId, 'c');
    assert.deepEqual([answer.observability?.traceId, answer.observability?.spanId], ['t', 's']);
    const orphan = toEps(error, { source: SOURCE });
    assert.deepEqual(
      [orphan.messageMetadata?.parentMessageId, orphan.messageMetadata?.correlationId],
      ['unknown', 'unknown'],
    );
  });

  const ranges: [ErrorName, ErrorClassification][] = [
    ['INVALID_REQUEST', ErrorClassification.PROTOCOL_ERROR],
    ['OUTCOME_UNKNOWN', ErrorClassification.PROTOCOL_ERROR],
    ['MODULE_NOT_FOUND', ErrorClassification.COMMUNICATION_ERROR],
    ['FIELD_MISSING', ErrorClassification.VALIDATION_ERROR],
    ['AUTHENTICATION_FAILED', ErrorClassification.SECURITY_ERROR],
    ['MEDIATOR_FULL', ErrorClassification.SYSTEM_ERROR],
    ['NODE_IN_MAINTENANCE', ErrorClassification.BUSINESS_ERROR],
  ];
  for (const [name, classification] of ranges) {
    it(`${name} (${ERRORS[name].code}) has class ${classification}`, () => {
      const eps = toEps(new RuneError(name, 'x'), { source: SOURCE });
      assert.equal(eps.errorContext?.errorClassification, classification);
    });
  }

  it('every error says what to do, with no placeholder left', () => {
    for (const name of NAMES) {
      const actions = toEps(new RuneError(name, 'x'), { source: SOURCE }).errorContext?.recoveryActions ?? [];
      assert.ok(actions.length > 0, name);
      for (const action of actions) assert.doesNotMatch(action, /[{}]|undefined|\$&/, name);
    }
  });

  it('a node with a name like a replacement pattern stays as it is', () => {
    const eps = toEps(new RuneError('NODE_UNREACHABLE', 'x', { node: '$&{action}' }), { source: SOURCE });
    assert.match(eps.errorContext?.recoveryActions[0] ?? '', /^Nothing ran\. Check that \$&/);
  });

  it('the same cause has the same fingerprint; ids, times, messages and nodes do not enter it', () => {
    const one = fingerprint(
      new RuneError('PLUGIN_FAILED', 'at 12:00', { node: 'a', runId: '1', action: 'x', exitCode: 3 }),
    );
    const two = fingerprint(
      new RuneError('PLUGIN_FAILED', 'at 13:00', { node: 'b', runId: '2', action: 'x', exitCode: 3 }),
    );
    assert.match(one ?? '', /^[0-9a-f]{16}$/);
    assert.equal(one, two);
    const others = [
      fingerprint(new RuneError('PLUGIN_CRASHED', '', { action: 'x', exitCode: 3 })),
      fingerprint(new RuneError('PLUGIN_FAILED', '', { action: 'y', exitCode: 3 })),
      fingerprint(new RuneError('PLUGIN_FAILED', '', { action: 'x', exitCode: 4 })),
      fingerprint(new RuneError('PLUGIN_FAILED', '', { action: 'x' })),
      fingerprint(new RuneError('PLUGIN_FAILED', '', { action: 'x', exitCode: 3, signal: 'KILL' })),
      fingerprint(new RuneError('PLUGIN_FAILED', '', { action: 'x', exitCode: 3, field: 'f' })),
      fingerprint(new RuneError('PLUGIN_FAILED', '', { action: 'x', exitCode: 3 }), 'other'),
    ];
    assert.equal(new Set([one, ...others]).size, 8);
  });

  it('holds neither cause nor stack', () => {
    const error = new RuneError('INTERNAL', 'x', {}, { cause: new Error('the secret cause') });
    assert.doesNotMatch(JSON.stringify(toEps(error, { source: SOURCE })), /secret|eps\.test/);
  });

  it('bounds every text and list, never within a character, and keeps the end of stderr', () => {
    const long = '€'.repeat(50_000);
    const eps = toEps(
      new RuneError('PLUGIN_FAILED', long, {
        reason: long,
        field: long,
        validationErrors: Array.from({ length: 50 }, () => ({
          field: long,
          description: long,
          reason: long,
        })),
        originalValue: long,
        node: long,
        stderrTail: `${long}end`,
        evidence: `start${long}`,
        pluginDetailsJson: JSON.stringify({ long }),
        missingSha256: Array.from({ length: 500 }, () => 'a'.repeat(64)),
      }),
      { source: SOURCE },
    );
    const data = eps.errorData?.data;
    assert.equal(Buffer.byteLength(eps.errorData?.message ?? ''), 999);
    assert.equal(data?.validationErrors.length, 20);
    assert.ok(Buffer.byteLength(data.originalValue) <= 200);
    assert.ok(data.stderrTail.endsWith('€end') && Buffer.byteLength(data.stderrTail) <= 2_048);
    assert.ok(data.evidence.startsWith('start€') && Buffer.byteLength(data.evidence) <= 4_096);
    assert.deepEqual(Object.keys(JSON.parse(data.pluginDetailsJson)), ['omitted_bytes']);
    assert.doesNotMatch(JSON.stringify(eps), /\ufffd/);
  });

  it('becomes the same error again on the other side', () => {
    for (const name of NAMES) {
      const error = new RuneError(name, `about ${name}`, { node: 'n', exitCode: 3, validationErrors: [] });
      const back = fromEps(EpsError.decode(EpsError.encode(toEps(error, { source: SOURCE })).finish()));
      assert.deepEqual(
        [back.name, back.message, back.facts.node, back.facts.exitCode],
        [name, `about ${name}`, 'n', 3],
      );
    }
  });

  it('is passed on as it came: source, ids and fingerprint stay those of where it began', () => {
    const header = RcsHeader.fromPartial({
      messageMetadata: { messageId: 'm', correlationId: 'c' },
      observability: { traceId: 't', spanId: 's' },
    });
    const original = toEps(new RuneError('RUN_NOT_FOUND', 'Gone.', { runId: 'r' }), {
      source: 'lmm',
      header,
    });
    const back = fromEps(original);
    assert.deepEqual(EpsError.toJSON(toEps(back, { source: 'lom' })), EpsError.toJSON(original));
    const placed = toEps(back, { source: 'lom', facts: { node: 'web01', runId: 'other' } });
    assert.equal(placed.errorData?.data?.node, 'web01', 'what the original does not say is added');
    assert.equal(placed.errorData.data.runId, 'r');
    assert.equal(placed.observability?.errorFingerprint, original.observability?.errorFingerprint);
  });

  it('a name that this release does not know becomes INTERNAL and keeps message and name', () => {
    for (const name of ['FROM_THE_FUTURE', 'toString', '__proto__']) {
      const back = fromEps(EpsError.fromPartial({ errorData: { name, message: 'Something new.' } }));
      assert.deepEqual([back.name, back.message, back.facts.reason], ['INTERNAL', 'Something new.', name]);
    }
  });
});

describe('an error as a gRPC status', () => {
  it('has the code of the table, and details for tools that know only the standard ones', () => {
    const error = new RuneError('MEDIATOR_FULL', 'Full.', {
      validationErrors: [{ field: 'a.b', description: 'is wrong', reason: 'TYPE' }],
    });
    const { code, details, metadata } = statusOf(toEps(error, { source: SOURCE }));
    assert.equal(code, GRPC_STATUS.RESOURCE_EXHAUSTED);
    assert.equal(details, 'Full.');
    const status = Status.decode(metadata.get('grpc-status-details-bin')[0] as Buffer);
    assert.deepEqual([status.code, status.message], [code, details]);
    const detail = (type: string): Buffer =>
      status.details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/${type}`)?.value ??
      Buffer.alloc(0);
    assert.equal(EpsError.decode(detail('rune.v1.EpsError')).errorData?.name, 'MEDIATOR_FULL');
    assert.deepEqual(ErrorInfo.decode(detail('google.rpc.ErrorInfo')), {
      reason: 'MEDIATOR_FULL',
      domain: 'rune.v1',
      metadata: {},
    });
    assert.deepEqual(BadRequest.decode(detail('google.rpc.BadRequest')).fieldViolations, [
      { field: 'a.b', description: 'is wrong', reason: 'TYPE' },
    ]);
    assert.deepEqual(RetryInfo.decode(detail('google.rpc.RetryInfo')).retryDelay, { seconds: 1, nanos: 0 });
  });

  for (const text of ['x', '€', '\u{1f600}', '\ud800', '\u0000', '%']) {
    it(`keeps the whole trailer under 7 KB, full of ${JSON.stringify(text)}, and what decides`, () => {
      const long = text.repeat(20_000);
      const error = new RuneError('NODE_UNREACHABLE', long, {
        ...Object.fromEntries(
          [
            'reason',
            'field',
            'originalValue',
            'expectedFormat',
            'node',
            'action',
            'executionId',
            'runId',
            'signal',
          ].map((key) => [key, long]),
        ),
        stderrTail: long,
        evidence: long,
        pluginDetailsJson: JSON.stringify({ long }),
        lmmInstanceId: long,
        validationErrors: Array.from({ length: 50 }, () => ({
          field: long,
          description: long,
          reason: long,
        })),
        missingSha256: Array.from({ length: 100 }, () => long),
      });
      const header = RcsHeader.fromPartial({
        messageMetadata: { messageId: long, correlationId: long },
        observability: { traceId: long, spanId: long },
      });
      const status = statusOf(toEps(error, { source: SOURCE, header }));
      const bytes = (status.metadata.get('grpc-status-details-bin')[0] as Buffer).toString('base64').length;
      assert.ok(bytes + encodeURI(status.details).length <= 7_000, `${bytes}`);
      const back = errorOfStatus(status, 'here:1');
      assert.equal(back.name, 'NODE_UNREACHABLE');
      assert.ok(back.message.length > 0);
    });
  }

  it('keeps an ordinary error whole', () => {
    const facts = { stderrTail: 'e'.repeat(1_500), evidence: 'o'.repeat(1_500), node: 'web01' };
    const back = errorOfStatus(
      statusOf(toEps(new RuneError('PLUGIN_FAILED', 'x', facts), { source: SOURCE })),
      'here:1',
    );
    assert.deepEqual([back.facts.stderrTail, back.facts.evidence], [facts.stderrTail, facts.evidence]);
  });

  const foreign: [number, string, ErrorName][] = [
    [1, 'Cancelled on client', 'CALL_CANCELLED'],
    [2, 'oops', 'INTERNAL'],
    [3, 'bad', 'INVALID_REQUEST'],
    [4, 'Deadline exceeded', 'CALL_DEADLINE_EXCEEDED'],
    [8, 'Received message larger than max (5 vs. 4)', 'MESSAGE_TOO_LARGE'],
    [8, 'quota', 'INTERNAL'],
    [12, 'unknown method', 'METHOD_NOT_FOUND'],
    [13, 'Received RST_STREAM with code 2 (Internal server error)', 'SERVICE_UNREACHABLE'],
    [14, 'No connection established', 'SERVICE_UNREACHABLE'],
    [99, '', 'INTERNAL'],
  ];
  const unreachable: [string, string][] = [
    [
      'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
      ': connection refused.',
    ],
    ['Name resolution failed for target dns:nowhere.invalid:1', ': the name is not known.'],
    [
      'No connection established. Last error: Error: self-signed certificate. Resolution note: ',
      ': TLS refused.',
    ],
    ['No connection established. Last error: Error: connect ETIMEDOUT. Resolution note: ', ': no answer.'],
    ['No connection established', '.'],
    ['upstream connect error', ': upstream connect error.'],
    ['', '.'],
  ];
  for (const [details, end] of unreachable) {
    it(`an address that cannot be reached is one sentence without the library's words: "${details}"`, () => {
      const { message } = errorOfStatus({ code: 14, details }, 'there:1');
      assert.equal(message, `The service at there:1 cannot be reached${end}`);
    });
  }
  for (const [code, details, name] of foreign) {
    it(`status ${code} "${details}" of another kind of server becomes ${name} and names the address`, () => {
      const metadata = new Metadata();
      metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
      for (const status of [
        { code, details },
        { code, details, metadata },
      ]) {
        const error = errorOfStatus(status, 'there:1');
        assert.equal(error.name, name);
        assert.match(error.message, /there:1/);
      }
    });
  }
});
