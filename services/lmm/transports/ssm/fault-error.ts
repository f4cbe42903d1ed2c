import { RuneError, type ErrorName } from '../../../shared/errors.js';
import type { SsmFault } from './ssm-api.js';

const MESSAGE_CHARS_MAX = 300;

const BY_CODE: Readonly<Record<string, ErrorName>> = {
  InvalidInstanceId: 'SSM_INSTANCE_UNKNOWN',
  InvalidDocument: 'SSM_DOCUMENT_UNUSABLE',
  InvalidDocumentVersion: 'SSM_DOCUMENT_UNUSABLE',
  InvalidParameters: 'SSM_DOCUMENT_UNUSABLE',
  UnsupportedPlatformType: 'SSM_DOCUMENT_UNUSABLE',
  MaxDocumentSizeExceeded: 'SSM_COMMAND_TOO_LARGE',
};

/** The error of a run whose command the service, or the lack of credentials, refused: nothing ran. */
export function refusalError(
  fault: SsmFault,
  about: { readonly node: string; readonly runId?: string },
): RuneError {
  const name = BY_CODE[fault.code] ?? 'SSM_ACCESS_DENIED';
  return new RuneError(name, `Systems Manager refused for ${about.node}: ${wordsOf(fault)}.`, about, {
    cause: fault,
  });
}

/** The error of a run whose command could not be sent in time: nothing ran. `fault` is what the last try met, if there was one. */
export function unavailableError(
  fault: SsmFault | undefined,
  about: { readonly node: string; readonly runId?: string },
): RuneError {
  const why = fault === undefined ? 'its turn did not come' : wordsOf(fault);
  return new RuneError(
    'SSM_UNAVAILABLE',
    `No command could be sent to ${about.node} in time: ${why}.`,
    about,
    { cause: fault },
  );
}

/** What the service or the SDK said, short and without its last full stop. */
function wordsOf({ code, message }: SsmFault): string {
  const words = message.replaceAll(/\s+/g, ' ').trim().slice(0, MESSAGE_CHARS_MAX).replace(/\.$/, '');
  return words === '' ? code : `${code}, ${words}`;
}
