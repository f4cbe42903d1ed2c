import { createHash } from 'node:crypto';
import { endOf, startOf } from '../bounded-text.js';
import { ERRORS, RuneError } from '../errors.js';
import type { ErrorName, ErrorRow } from '../errors.js';
import {
  ErrorClassification,
  ErrorFacts,
  ModuleHealthImpact,
  Severity,
  SystemImpact,
} from '../gen/rune/v1/eps.js';
import type { EpsError, ErrorContext, ValidationError } from '../gen/rune/v1/eps.js';
import { DeliveryMode, Priority } from '../gen/rune/v1/rcs.js';
import type { MessageMetadata, RcsHeader } from '../gen/rune/v1/rcs.js';
import { RCS_VERSION } from './header.js';
import { newId } from './ids.js';

/** Bounds of the texts in an EpsError, in bytes of UTF-8, and of its lists. */
export const EPS_LIMITS = {
  messageBytesMax: 1_000,
  textBytesMax: 300,
  idBytesMax: 128,
  actionBytesMax: 400,
  originalValueBytesMax: 200,
  stderrTailBytesMax: 2_048,
  evidenceBytesMax: 4_096,
  pluginDetailsBytesMax: 4_096,
  validationErrorsMax: 20,
  missingDigestsMax: 64,
} as const;

const UNKNOWN = 'unknown';
/** What stands in a recovery action for a node or an action that is not known. */
const NEUTRAL = { node: 'NODE', action: 'ACTION' } as const;

/**
 * The error as an EPS message: for the details of a status, the outcome of a run, a log line. Every text is cut to its
 * bound; the error's cause and stack never enter it. `facts` adds to what the error itself knows. An error that came as an EPS
 * message stays that message, so that its source, ids and fingerprint are those that its source has logged; only facts that
 * are missing in it are added.
 */
export function toEps(
  error: RuneError,
  about: { source: string; header?: RcsHeader; facts?: Partial<ErrorFacts> },
): EpsError {
  if (error.eps !== undefined) return withFacts(error.eps, about.facts ?? {});
  const { row } = error;
  const facts = boundFacts({ ...about.facts, ...error.facts });
  return {
    messageMetadata: epsMetadata(about.header, row),
    routing: {
      eventType: 'EPS_ERROR_RESPONSE',
      eventCategory: 'error_handling',
      sourceModule: about.source,
      targetModule: 'ErrorHandler_Core',
      originalSourceModule: about.source,
      routingTags: [],
    },
    errorData: {
      code: row.code,
      name: error.name,
      message: startOf(error.message, EPS_LIMITS.messageBytesMax),
      data: facts,
    },
    errorContext: contextOf(error.name, row, { ...facts, node: error.recoverAt ?? facts.node }),
    observability: {
      traceId: startOf(about.header?.observability?.traceId ?? '', EPS_LIMITS.idBytesMax),
      spanId: startOf(about.header?.observability?.spanId ?? '', EPS_LIMITS.idBytesMax),
      errorFingerprint: fingerprintOf(error.name, about.source, facts),
    },
  };
}

/**
 * The error that an EPS message describes, and when to try again if that was said beside it. A name that this release does not know
 * becomes INTERNAL and keeps its message.
 */
export function fromEps(eps: EpsError, retryAfterMs?: number): RuneError {
  const name = eps.errorData?.name ?? '';
  const message = startOf(eps.errorData?.message ?? '', EPS_LIMITS.messageBytesMax);
  const facts = boundFacts(eps.errorData?.data ?? {});
  // At its full share this keeps every text and only bounds what is beyond its limits.
  const kept = { eps: shrinkEps(eps, 1), retryAfterMs };
  if (isErrorName(name)) return new RuneError(name, message, facts, kept);
  return new RuneError(
    'INTERNAL',
    message || 'The service reports an error that has no name.',
    { ...facts, reason: facts.reason || startOf(name, EPS_LIMITS.textBytesMax) },
    kept,
  );
}

/** The message with these facts where it says nothing about them. */
function withFacts(
  eps: EpsError,
  { node, action, executionId, runId, attempt }: Partial<ErrorFacts>,
): EpsError {
  const { errorData } = eps;
  const own = errorData?.data;
  if (errorData === undefined || own === undefined) return eps;
  const data = boundFacts({
    ...own,
    node: own.node || (node ?? ''),
    action: own.action || (action ?? ''),
    executionId: own.executionId || (executionId ?? ''),
    runId: own.runId || (runId ?? ''),
    attempt: own.attempt || (attempt ?? 0),
  });
  return { ...eps, errorData: { ...errorData, data } };
}

/** Whether a text is the name of an error in the table. */
export function isErrorName(name: string): name is ErrorName {
  return Object.hasOwn(ERRORS, name);
}

function epsMetadata(header: RcsHeader | undefined, row: ErrorRow): MessageMetadata {
  return {
    version: RCS_VERSION,
    messageId: newId(),
    correlationId: startOf(header?.messageMetadata?.correlationId || UNKNOWN, EPS_LIMITS.idBytesMax),
    parentMessageId: startOf(header?.messageMetadata?.messageId || UNKNOWN, EPS_LIMITS.idBytesMax),
    createdAt: new Date(),
    expiresAt: undefined,
    priority: PRIORITY_OF[row.severity],
    deliveryMode: DeliveryMode.AT_MOST_ONCE,
  };
}

const PRIORITY_OF = {
  CRITICAL: Priority.CRITICAL,
  HIGH: Priority.HIGH,
  MEDIUM: Priority.NORMAL,
  LOW: Priority.LOW,
} as const;

function contextOf(name: ErrorName, row: ErrorRow, facts: ErrorFacts): ErrorContext {
  const impact = impactOf(name);
  return {
    errorClassification: classificationOf(row.code),
    severity: Severity[row.severity],
    recoverable: row.retryable || row.severity === 'LOW' || row.severity === 'MEDIUM',
    retryRecommended: row.retryable,
    escalationRequired: row.severity === 'CRITICAL' || name === 'INTERNAL',
    recoveryActions: row.recovery.map((text) => fill(text, facts)),
    relatedErrors: [],
    systemImpact: impact.system,
    moduleHealthImpact: impact.health,
  };
}

function impactOf(name: ErrorName): { system: SystemImpact; health: ModuleHealthImpact } {
  switch (name) {
    case 'SERVICE_UNREACHABLE':
    case 'MEDIATOR_UNAVAILABLE':
    case 'CONFIGURATION_INVALID':
      return { system: SystemImpact.MODULE, health: ModuleHealthImpact.FAILED };
    case 'INTERNAL':
    case 'MEDIATOR_FULL':
    case 'TOO_MANY_EXECUTIONS':
    case 'SERVICE_SHUTTING_DOWN':
      return { system: SystemImpact.MODULE, health: ModuleHealthImpact.DEGRADED };
    default:
      return { system: SystemImpact.SINGLE_REQUEST, health: ModuleHealthImpact.NONE };
  }
}

/** The class that the code's range decides. */
function classificationOf(code: number): ErrorClassification {
  if (code <= -32500 && code > -32600) return ErrorClassification.BUSINESS_ERROR;
  if (code <= -32400 && code > -32500) return ErrorClassification.SYSTEM_ERROR;
  if (code <= -32300 && code > -32400) return ErrorClassification.SECURITY_ERROR;
  if (code <= -32200 && code > -32300) return ErrorClassification.VALIDATION_ERROR;
  if (code <= -32100 && code > -32200) return ErrorClassification.COMMUNICATION_ERROR;
  return ErrorClassification.PROTOCOL_ERROR;
}

function fill(text: string, facts: ErrorFacts): string {
  return text
    .replaceAll('{node}', () => facts.node || NEUTRAL.node)
    .replaceAll('{action}', () => facts.action || NEUTRAL.action);
}

/** The same cause gives the same fingerprint: ids, times and addresses do not enter it. */
function fingerprintOf(name: ErrorName, source: string, facts: ErrorFacts): string {
  const cause = [name, source, facts.action, facts.field, facts.exitCode ?? '', facts.signal];
  return createHash('sha256').update(JSON.stringify(cause)).digest('hex').slice(0, 16);
}

function boundFacts(facts: Partial<ErrorFacts>): ErrorFacts {
  const text = (value: string | undefined): string => startOf(value ?? '', EPS_LIMITS.textBytesMax);
  const details = facts.pluginDetailsJson ?? '';
  const detailsBytes = Buffer.byteLength(details);
  return {
    ...ErrorFacts.create(),
    reason: text(facts.reason),
    timestamp: validDate(facts.timestamp) ?? new Date(),
    field: text(facts.field),
    validationErrors: (facts.validationErrors ?? [])
      .slice(0, EPS_LIMITS.validationErrorsMax)
      .map((fault) => boundFault(fault, EPS_LIMITS.textBytesMax)),
    originalValue: startOf(facts.originalValue ?? '', EPS_LIMITS.originalValueBytesMax),
    expectedFormat: text(facts.expectedFormat),
    node: text(facts.node),
    action: text(facts.action),
    executionId: text(facts.executionId),
    runId: text(facts.runId),
    attempt: Math.max(0, int32(facts.attempt) ?? 0),
    exitCode: int32(facts.exitCode),
    signal: text(facts.signal),
    stderrTail: endOf(facts.stderrTail ?? '', EPS_LIMITS.stderrTailBytesMax),
    evidence: startOf(facts.evidence ?? '', EPS_LIMITS.evidenceBytesMax),
    lmmInstanceId: text(facts.lmmInstanceId),
    pluginCode: int32(facts.pluginCode),
    // Cut JSON would be no JSON.
    pluginDetailsJson:
      detailsBytes <= EPS_LIMITS.pluginDetailsBytesMax ? details : `{"omitted_bytes":${detailsBytes}}`,
    missingSha256: (facts.missingSha256 ?? []).slice(0, EPS_LIMITS.missingDigestsMax).map(text),
  };
}

function boundFault(fault: ValidationError, bytesMax: number): ValidationError {
  return {
    field: startOf(fault.field, bytesMax),
    description: startOf(fault.description, bytesMax),
    reason: startOf(fault.reason, bytesMax),
  };
}

/** The number if it can be written as an int32. */
function int32(value: number | undefined): number | undefined {
  return value !== undefined && (value | 0) === value ? value : undefined;
}

function validDate(date: Date | undefined): Date | undefined {
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date;
}

/**
 * The same EPS message with less evidence in it, for a place with less room: `share` (0 to 1) of what the texts, lists and
 * evidence may hold. At 0 the name, the message's start, node, action, ids and recovery actions are left.
 */
export function shrinkEps(eps: EpsError, share: number): EpsError {
  const data = eps.errorData;
  const facts = data?.data;
  if (data === undefined || facts === undefined) return eps;
  const bytes = (max: number): number => Math.floor(max * share);
  const textBytesMax = Math.max(64, bytes(EPS_LIMITS.textBytesMax));
  const text = (value: string): string => startOf(value, textBytesMax);
  const name = (value: string): string => startOf(value, Math.max(EPS_LIMITS.idBytesMax, textBytesMax));
  const detailsFit = Buffer.byteLength(facts.pluginDetailsJson) <= bytes(EPS_LIMITS.pluginDetailsBytesMax);
  const recoveryActions = eps.errorContext?.recoveryActions.map((action) =>
    startOf(action, EPS_LIMITS.actionBytesMax),
  );
  return {
    ...eps,
    errorContext: eps.errorContext && { ...eps.errorContext, recoveryActions: recoveryActions ?? [] },
    errorData: {
      ...data,
      message: startOf(data.message, Math.max(256, bytes(EPS_LIMITS.messageBytesMax))),
      data: {
        ...facts,
        reason: text(facts.reason),
        field: text(facts.field),
        node: name(facts.node),
        action: name(facts.action),
        executionId: name(facts.executionId),
        runId: name(facts.runId),
        signal: name(facts.signal),
        lmmInstanceId: name(facts.lmmInstanceId),
        validationErrors: facts.validationErrors
          .slice(0, Math.max(1, bytes(EPS_LIMITS.validationErrorsMax)))
          .map((fault) => boundFault(fault, textBytesMax)),
        originalValue: text(facts.originalValue),
        expectedFormat: text(facts.expectedFormat),
        stderrTail: endOf(facts.stderrTail, bytes(EPS_LIMITS.stderrTailBytesMax)),
        evidence: startOf(facts.evidence, bytes(EPS_LIMITS.evidenceBytesMax)),
        pluginDetailsJson: detailsFit ? facts.pluginDetailsJson : '',
        missingSha256: facts.missingSha256.slice(0, Math.max(2, bytes(EPS_LIMITS.missingDigestsMax))),
      },
    },
  };
}
