import assert from 'node:assert/strict';
import { DeliveryMode, Priority, RcsHeader } from '../../../services/shared/gen/rune/v1/rcs.js';
import {
  acceptHeader,
  CLOCK_SLACK_MS,
  replyHeader,
  requestHeader,
} from '../../../services/shared/messages/header.js';
import { newId } from '../../../services/shared/messages/ids.js';

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TRACE = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };

type Partial = Parameters<typeof RcsHeader.fromPartial>[0];

function accept(header?: Partial): RcsHeader {
  return acceptHeader(header === undefined ? undefined : RcsHeader.fromPartial(header), {
    identity: 'CN=alice',
    nowMs: NOW_MS,
  });
}

describe('the header of a request', () => {
  it('may be left out: everything is filled in', () => {
    const header = accept();
    assert.match(header.messageMetadata?.messageId ?? '', UUID_V7);
    assert.match(header.messageMetadata?.correlationId ?? '', UUID_V7);
    assert.equal(header.messageMetadata?.version, '1.0');
    assert.equal(header.messageMetadata.createdAt?.getTime(), NOW_MS);
    assert.equal(header.messageMetadata.priority, Priority.NORMAL);
    assert.equal(header.messageMetadata.deliveryMode, DeliveryMode.AT_MOST_ONCE);
    assert.match(header.observability?.traceId ?? '', /^[0-9a-f]{32}$/);
    assert.match(header.observability?.spanId ?? '', /^[0-9a-f]{16}$/);
    assert.equal(header.payload?.schemaVersion, 'rcs_v2');
  });

  it('keeps what the caller gave', () => {
    const given: Partial = {
      messageMetadata: {
        version: '1.7',
        messageId: 'm',
        correlationId: 'c',
        priority: Priority.HIGH,
        deliveryMode: DeliveryMode.AT_LEAST_ONCE,
      },
      routing: { eventType: 'E', sourceModule: 's', routingTags: ['a'] },
      security: { accessLevel: 2 },
      observability: TRACE,
    };
    const header = accept(given);
    assert.equal(header.messageMetadata?.version, '1.7');
    assert.deepEqual([header.messageMetadata.messageId, header.messageMetadata.correlationId], ['m', 'c']);
    assert.equal(header.messageMetadata.priority, Priority.HIGH);
    assert.equal(header.messageMetadata.deliveryMode, DeliveryMode.AT_LEAST_ONCE);
    assert.deepEqual(header.routing?.routingTags, ['a']);
    assert.equal(header.security?.accessLevel, 2);
    assert.deepEqual(header.observability, TRACE);
  });

  it('never says who sent it: the connection does', () => {
    assert.equal(accept({ security: { senderIdentity: 'root' } }).security?.senderIdentity, 'CN=alice');
  });

  for (const bad of ['', 'x', '0'.repeat(32), TRACE.traceId.toUpperCase(), `${TRACE.traceId}0`]) {
    it(`the malformed trace id "${bad}" is replaced`, () => {
      const { observability } = accept({ observability: { traceId: bad, spanId: bad.slice(0, 16) } });
      assert.match(observability?.traceId ?? '', /^(?!0{32})[0-9a-f]{32}$/);
      assert.match(observability?.spanId ?? '', /^(?!0{16})[0-9a-f]{16}$/);
      assert.notEqual(observability?.traceId, bad);
    });
  }

  it('a creation time out of range is replaced, so that the header can be sent on', () => {
    const header = accept({ messageMetadata: { createdAt: new Date(Number.NaN) } });
    assert.equal(header.messageMetadata?.createdAt?.getTime(), NOW_MS);
    assert.doesNotThrow(() => RcsHeader.encode(header).finish());
  });

  it('may be late by the clock slack and no more', () => {
    const expires = (ms: number): Partial => ({ messageMetadata: { expiresAt: new Date(NOW_MS + ms) } });
    assert.doesNotThrow(() => accept(expires(-CLOCK_SLACK_MS)));
    assert.throws(() => accept(expires(-CLOCK_SLACK_MS - 1)), { name: 'MESSAGE_EXPIRED' });
    assert.throws(() => accept(expires(Number.NaN)), { name: 'FIELD_MALFORMED' });
  });

  for (const version of ['2.0', '0.9', '10.0', 'one', '1.', '-1.0', ' 1.0']) {
    it(`version "${version}" is refused`, () => {
      assert.throws(() => accept({ messageMetadata: { version } }), { name: 'PROTOCOL_VERSION_MISMATCH' });
    });
  }

  const unserved: [string, Partial][] = [
    ['header.message_metadata.delivery_mode', { messageMetadata: { deliveryMode: 9 as DeliveryMode } }],
    [
      'header.message_metadata.delivery_mode',
      { messageMetadata: { deliveryMode: DeliveryMode.EXACTLY_ONCE } },
    ],
    ['header.quality_of_service', { qualityOfService: { maxRetries: 1 } }],
    ['header.quality_of_service', { qualityOfService: { retryDelay: { seconds: 0, nanos: 0 } } }],
    ['header.quality_of_service', { qualityOfService: { acknowledgmentRequired: true } }],
  ];
  for (const [field, header] of unserved) {
    it(`what is not served is refused by name: ${JSON.stringify(header)}`, () => {
      assert.throws(() => accept(header), { name: 'FIELD_NOT_SUPPORTED', facts: { field } });
    });
  }

  it('an empty quality_of_service asks for nothing', () => {
    assert.equal(accept({ qualityOfService: {} }).qualityOfService, undefined);
  });

  const long = 'x'.repeat(129);
  const oversized: Partial[] = [
    { messageMetadata: { messageId: long } },
    { messageMetadata: { correlationId: '€'.repeat(43) } },
    { routing: { eventType: long } },
    { routing: { routingTags: [long] } },
    { routing: { routingTags: Array.from({ length: 33 }, () => 'a') } },
  ];
  for (const header of oversized) {
    it(`a text above its bound is refused: ${JSON.stringify(header).slice(0, 50)}`, () => {
      assert.throws(() => accept(header), { name: 'FIELD_OUT_OF_RANGE' });
    });
  }
});

describe('the headers of answers and of further requests', () => {
  const request = accept({
    messageMetadata: { messageId: 'm', correlationId: 'c', priority: Priority.HIGH },
    routing: { sourceModule: 'cli', routingTags: ['a'] },
    observability: TRACE,
  });

  it('a full answer fills all sections and names what it answers', () => {
    const reply = replyHeader(request, 'ACTION_STARTED', 'rune-lom', true);
    assert.equal(reply.messageMetadata?.parentMessageId, 'm');
    assert.equal(reply.messageMetadata.correlationId, 'c');
    assert.equal(reply.routing?.sourceModule, 'rune-lom');
    assert.equal(reply.routing.targetModule, 'cli');
    assert.deepEqual(reply.observability, TRACE);
    assert.notEqual(reply.payload, undefined);
  });

  it('a later message carries the ids and the event only', () => {
    const bytes = (full: boolean): number =>
      RcsHeader.encode(replyHeader(request, 'ACTION_LOG', 'rune-lom', full)).finish().length;
    const short = replyHeader(request, 'ACTION_LOG', 'rune-lom', false);
    assert.equal(short.messageMetadata?.parentMessageId, 'm');
    assert.equal(short.routing?.eventType, 'ACTION_LOG');
    assert.deepEqual(short.observability, TRACE);
    assert.deepEqual(
      [short.payload, short.security, short.messageMetadata?.correlationId],
      [undefined, undefined, ''],
    );
    assert.ok(bytes(false) < bytes(true) * 0.75, `${bytes(false)} of ${bytes(true)}`);
  });

  it('a further request continues the conversation in a span of its own', () => {
    const next = requestHeader(request, 'RUN', 'rune-lom', 'rune-lmm');
    assert.equal(next.messageMetadata?.correlationId, 'c');
    assert.equal(next.messageMetadata.parentMessageId, 'm');
    assert.notEqual(next.messageMetadata.messageId, 'm');
    assert.equal(next.messageMetadata.priority, Priority.HIGH);
    assert.equal(next.observability?.traceId, TRACE.traceId);
    assert.notEqual(next.observability?.spanId, TRACE.spanId);
    assert.doesNotThrow(() => acceptHeader(next, { identity: 'x', nowMs: Date.now() }));
  });

  it('a first request starts one', () => {
    const first = requestHeader(undefined, 'RUN', 'cli', 'rune-lom');
    assert.match(first.messageMetadata?.correlationId ?? '', UUID_V7);
    assert.equal(first.messageMetadata?.parentMessageId, '');
    assert.doesNotThrow(() => acceptHeader(first, { identity: 'x', nowMs: Date.now() }));
  });

  it('ids sort by the time they were made', () => {
    const ids = Array.from({ length: 1_000 }, newId);
    assert.deepEqual(ids.toSorted(), ids);
    assert.equal(new Set(ids).size, 1_000);
  });
});
