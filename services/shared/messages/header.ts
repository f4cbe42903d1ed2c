import { DeliveryMode, Priority } from '../gen/rune/v1/rcs.js';
import type {
  MessageMetadata,
  Observability,
  PayloadFacts,
  QualityOfService,
  RcsHeader,
  Routing,
} from '../gen/rune/v1/rcs.js';
import { RuneError } from '../errors.js';
import { newId, newSpanId, newTraceId } from './ids.js';

/** Version of RCS that is spoken here; any other major version is refused. */
export const RCS_VERSION = '1.0';
/** How far off a caller's clock may be before its expires_at counts. */
export const CLOCK_SLACK_MS = 5_000;
const TEXT_BYTES_MAX = 128;
const ROUTING_TAGS_MAX = 32;
const DELIVERY_MODES = new Set<DeliveryMode>([
  DeliveryMode.UNSPECIFIED,
  DeliveryMode.AT_MOST_ONCE,
  DeliveryMode.AT_LEAST_ONCE,
]);
const TRACE_ID = /^(?!0{32}$)[0-9a-f]{32}$/;
const SPAN_ID = /^(?!0{16}$)[0-9a-f]{16}$/;

const PAYLOAD: PayloadFacts = {
  schemaVersion: 'rcs_v2',
  contentType: 'application/grpc+proto',
  encoding: 'identity',
  sizeBytes: 0,
  checksum: '',
};

/**
 * The header of a request as this service works with it: what is missing is filled in, malformed trace ids are replaced,
 * `sender_identity` is the peer's own. Throws PROTOCOL_VERSION_MISMATCH, MESSAGE_EXPIRED, FIELD_NOT_SUPPORTED,
 * FIELD_OUT_OF_RANGE or FIELD_MALFORMED.
 */
export function acceptHeader(
  header: RcsHeader | undefined,
  about: { identity: string; nowMs: number },
): RcsHeader {
  refuseQualityOfService(header?.qualityOfService);
  return {
    messageMetadata: acceptMetadata(header?.messageMetadata, about.nowMs),
    routing: acceptRouting(header?.routing),
    payload: acceptPayload(header?.payload),
    qualityOfService: undefined,
    security: { senderIdentity: about.identity, accessLevel: header?.security?.accessLevel ?? 0 },
    observability: {
      traceId: matching(header?.observability?.traceId, TRACE_ID) ?? newTraceId(),
      spanId: matching(header?.observability?.spanId, SPAN_ID) ?? newSpanId(),
    },
  };
}

/**
 * The header of an answer to `request`. `full` fills all sections (the first message of a stream, a unary answer); later
 * messages carry message_id, parent_message_id, created_at, event_type and the trace ids only.
 */
export function replyHeader(request: RcsHeader, eventType: string, source: string, full: boolean): RcsHeader {
  const asked = request.messageMetadata;
  return {
    messageMetadata: {
      version: full ? RCS_VERSION : '',
      messageId: newId(),
      correlationId: full ? (asked?.correlationId ?? '') : '',
      parentMessageId: asked?.messageId ?? '',
      createdAt: new Date(),
      expiresAt: undefined,
      priority: full ? (asked?.priority ?? Priority.NORMAL) : Priority.UNSPECIFIED,
      deliveryMode: full ? DeliveryMode.AT_MOST_ONCE : DeliveryMode.UNSPECIFIED,
    },
    routing: {
      eventType,
      eventCategory: '',
      sourceModule: full ? source : '',
      targetModule: full ? (request.routing?.sourceModule ?? '') : '',
      routingTags: full ? (request.routing?.routingTags ?? []) : [],
    },
    payload: full ? PAYLOAD : undefined,
    qualityOfService: undefined,
    security: undefined,
    observability: request.observability,
  };
}

/**
 * The header of a new outgoing request. With `from`, it continues that conversation: same correlation_id, trace_id,
 * priority, access level and routing tags, a span of its own.
 */
export function requestHeader(
  from: RcsHeader | undefined,
  eventType: string,
  source: string,
  target: string,
): RcsHeader {
  const cause = from?.messageMetadata;
  return {
    messageMetadata: {
      version: RCS_VERSION,
      messageId: newId(),
      correlationId: cause?.correlationId || newId(),
      parentMessageId: cause?.messageId ?? '',
      createdAt: new Date(),
      expiresAt: undefined,
      priority: cause?.priority ?? Priority.NORMAL,
      deliveryMode: DeliveryMode.AT_MOST_ONCE,
    },
    routing: {
      eventType,
      eventCategory: '',
      sourceModule: source,
      targetModule: target,
      routingTags: from?.routing?.routingTags ?? [],
    },
    payload: PAYLOAD,
    qualityOfService: undefined,
    security: { senderIdentity: '', accessLevel: from?.security?.accessLevel ?? 0 },
    observability: continueTrace(from?.observability),
  };
}

function continueTrace(from: Observability | undefined): Observability {
  return { traceId: from?.traceId || newTraceId(), spanId: newSpanId() };
}

function acceptPayload(payload: PayloadFacts | undefined): PayloadFacts {
  if (payload === undefined) return PAYLOAD;
  return {
    schemaVersion: bounded('header.payload.schema_version', payload.schemaVersion),
    contentType: bounded('header.payload.content_type', payload.contentType),
    encoding: bounded('header.payload.encoding', payload.encoding),
    sizeBytes: payload.sizeBytes,
    checksum: bounded('header.payload.checksum', payload.checksum),
  };
}

function acceptMetadata(metadata: MessageMetadata | undefined, nowMs: number): MessageMetadata {
  const version = metadata?.version || RCS_VERSION;
  if (!/^1(\.\d{1,4}){0,2}$/.test(version)) {
    throw new RuneError(
      'PROTOCOL_VERSION_MISMATCH',
      `This service speaks version ${RCS_VERSION} of RCS, not the version of the request.`,
      { field: 'header.message_metadata.version', originalValue: version, expectedFormat: '1.0' },
    );
  }
  refuseExpired(metadata?.expiresAt, nowMs);
  const deliveryMode = metadata?.deliveryMode ?? DeliveryMode.UNSPECIFIED;
  if (!DELIVERY_MODES.has(deliveryMode)) {
    const message = 'Only at_most_once and at_least_once are served.';
    throw notSupported('header.message_metadata.delivery_mode', message);
  }
  const createdAt = metadata?.createdAt;
  return {
    version,
    messageId: bounded('header.message_metadata.message_id', metadata?.messageId) || newId(),
    correlationId: bounded('header.message_metadata.correlation_id', metadata?.correlationId) || newId(),
    parentMessageId: bounded('header.message_metadata.parent_message_id', metadata?.parentMessageId),
    // A timestamp outside the range of a Date decodes to an invalid one, which could not be encoded again.
    createdAt: createdAt !== undefined && !Number.isNaN(createdAt.getTime()) ? createdAt : new Date(nowMs),
    expiresAt: metadata?.expiresAt,
    priority: metadata?.priority || Priority.NORMAL,
    deliveryMode: deliveryMode || DeliveryMode.AT_MOST_ONCE,
  };
}

/** How long ago a message expired, in milliseconds; undefined where it has not, or its sender's clock may say otherwise. */
export function lateByMs(expiresAt: Date | undefined, nowMs: number): number | undefined {
  if (expiresAt === undefined || expiresAt.getTime() + CLOCK_SLACK_MS >= nowMs) return undefined;
  return nowMs - expiresAt.getTime();
}

function refuseExpired(expiresAt: Date | undefined, nowMs: number): void {
  if (expiresAt === undefined) return;
  const field = 'header.message_metadata.expires_at';
  const expiresMs = expiresAt.getTime();
  if (Number.isNaN(expiresMs)) {
    throw new RuneError('FIELD_MALFORMED', 'The time in expires_at is out of range.', {
      field,
      expectedFormat: 'a time of the years 1 to 9999',
    });
  }
  const lateMs = lateByMs(expiresAt, nowMs);
  if (lateMs === undefined) return;
  throw new RuneError('MESSAGE_EXPIRED', `The request expired ${lateMs} ms ago and was not run.`, {
    field,
    originalValue: expiresAt.toISOString(),
  });
}

function acceptRouting(routing: Routing | undefined): Routing {
  const tags = routing?.routingTags ?? [];
  if (tags.length > ROUTING_TAGS_MAX) {
    throw new RuneError('FIELD_OUT_OF_RANGE', `The header carries ${tags.length} routing tags.`, {
      field: 'header.routing.routing_tags',
      expectedFormat: `at most ${ROUTING_TAGS_MAX}`,
    });
  }
  return {
    eventType: bounded('header.routing.event_type', routing?.eventType),
    eventCategory: bounded('header.routing.event_category', routing?.eventCategory),
    sourceModule: bounded('header.routing.source_module', routing?.sourceModule),
    targetModule: bounded('header.routing.target_module', routing?.targetModule),
    routingTags: tags.map((tag) => bounded('header.routing.routing_tags', tag)),
  };
}

function refuseQualityOfService(asked: QualityOfService | undefined): void {
  if (asked === undefined) return;
  if (asked.maxRetries === 0 && asked.retryDelay === undefined && !asked.acknowledgmentRequired) return;
  throw notSupported('header.quality_of_service', 'Nothing in quality_of_service is served.');
}

function notSupported(field: string, message: string): RuneError {
  return new RuneError('FIELD_NOT_SUPPORTED', message, { field });
}

function bounded(field: string, text: string | undefined): string {
  if (text === undefined) return '';
  if (Buffer.byteLength(text) <= TEXT_BYTES_MAX) return text;
  throw new RuneError('FIELD_OUT_OF_RANGE', `${field} is too long.`, {
    field,
    expectedFormat: `at most ${TEXT_BYTES_MAX} bytes`,
  });
}

function matching(text: string | undefined, pattern: RegExp): string | undefined {
  return text !== undefined && pattern.test(text) ? text : undefined;
}
