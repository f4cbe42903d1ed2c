import type { EpsError } from '../../shared/gen/rune/v1/eps.js';
import type { Outcome, Result } from '../../shared/gen/rune/v1/run.js';
import { evidenceOf } from '../plugin-protocols/plugin-protocol.js';
import { jsonStringEnd } from '../json-span.js';
import type { Scrubber } from './scrubber.js';

/** An outcome without secrets in its result and in its error. `stdout` is what the plugin printed: evidence may be cut from it anywhere. */
export function scrubOutcome(outcome: Outcome, stdout: Buffer, scrubber: Scrubber): Outcome {
  const { result, error } = outcome;
  return {
    ...outcome,
    result: result && scrubResult(result, scrubber),
    error: error && scrubError(error, stdout, scrubber),
  };
}

function scrubError(error: EpsError, stdout: Buffer, scrubber: Scrubber): EpsError {
  const { errorData, errorContext } = error;
  const context = scrubTexts(errorContext, scrubber);
  if (errorData === undefined) return { ...error, errorContext: context };
  const { message, data } = errorData;
  const facts = scrubTexts(data, scrubber);
  if (facts !== undefined && facts.evidence !== '') facts.evidence = evidenceOf(scrubber.bytes(stdout));
  const cleanData = { ...errorData, message: scrubber.text(message), data: facts };
  return { ...error, errorData: cleanData, errorContext: context };
}

function scrubResult(result: Result, scrubber: Scrubber): Result {
  const json = result.outputJson.toString();
  const cleanJson = scrubJson(json, scrubber);
  if (cleanJson === json) return result;
  const output = result.output === undefined ? undefined : (JSON.parse(cleanJson) as Record<string, unknown>);
  return { ...result, outputJson: Buffer.from(cleanJson), output };
}

/** Only the strings of a JSON text: numbers stay as they were written, and the text stays JSON. */
function scrubJson(json: string, scrubber: Scrubber): string {
  let clean = '';
  let at = 0;
  for (;;) {
    const start = json.indexOf('"', at);
    if (start < 0) return clean + json.slice(at);
    const end = jsonStringEnd(json, start);
    const text = JSON.parse(json.slice(start, end)) as string;
    const cleanText = scrubber.text(text);
    clean +=
      json.slice(at, start) + (cleanText === text ? json.slice(start, end) : JSON.stringify(cleanText));
    at = end;
  }
}

/** A message whose texts, at any depth, have no secrets. */
function scrubTexts<T>(message: T, scrubber: Scrubber): T;
function scrubTexts(message: unknown, scrubber: Scrubber): unknown {
  if (typeof message === 'string') return scrubber.text(message);
  if (Array.isArray(message)) return message.map((item: unknown) => scrubTexts(item, scrubber));
  const isMessage =
    typeof message === 'object' && message !== null && Object.getPrototypeOf(message) === Object.prototype;
  if (!isMessage) return message;
  return Object.fromEntries(
    Object.entries(message).map(([name, item]) => [name, scrubTexts(item, scrubber)]),
  );
}
