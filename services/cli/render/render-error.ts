import type { EpsError } from '../../shared/gen/rune/v1/eps.js';
import { escapeText } from './escape-text.js';
import { renderValue } from './render-value.js';

const EVIDENCE_LINES_MAX = 12;
const TAIL_LINES_MAX = 20;
const WIDTH = 100;

const indent = (lines: readonly string[], by = '  ') => lines.map((line) => by + line);

function block(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...indent(lines)];
}

function textLines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split(/\r?\n/).map(escapeText);
}

function details(json: string): string[] {
  if (json === '' || json === '{}') return [];
  try {
    return renderValue(JSON.parse(json), WIDTH);
  } catch {
    return textLines(json); // Cut at its bound, so it may not be JSON any more; what is left still helps.
  }
}

/** `NAME: message` of a failure, on one line. */
export function errorHeadline(error: EpsError): string {
  return escapeText(`${error.errorData?.name ?? 'INTERNAL'}: ${error.errorData?.message ?? ''}`);
}

/**
 * What is known about a failure below its headline, and what a person should do next, as lines. `withLog: false` leaves out
 * the end of standard error, where the log has been shown already.
 */
export function errorDetails(error: EpsError, options: { readonly withLog: boolean }): string[] {
  const facts = error.errorData?.data;
  const tail = textLines(facts?.stderrTail ?? '').slice(-TAIL_LINES_MAX);
  const evidence = textLines(facts?.evidence ?? '');
  const ended = [
    ...(facts?.exitCode === undefined ? [] : [`exit code ${facts.exitCode}`]),
    ...(facts === undefined || facts.signal === '' ? [] : [`signal ${escapeText(facts.signal)}`]),
    ...(facts?.pluginCode === undefined ? [] : [`the plugin's own code ${facts.pluginCode}`]),
  ];
  return [
    ...(ended.length === 0 ? [] : [ended.join(', ')]),
    ...(facts?.validationErrors ?? [])
      // The message often says it already.
      .filter(({ description }) => !(error.errorData?.message ?? '').includes(description))
      .map(({ field, description }) => escapeText(`${field}: ${description}`)),
    ...(facts === undefined || facts.expectedFormat === ''
      ? []
      : [`expected: ${escapeText(facts.expectedFormat)}`]),
    ...block('details:', details(facts?.pluginDetailsJson ?? '')),
    ...(options.withLog ? block('end of its standard error:', tail) : []),
    ...block('it printed:', [
      ...evidence.slice(0, EVIDENCE_LINES_MAX),
      ...(evidence.length > EVIDENCE_LINES_MAX
        ? [`(and ${evidence.length - EVIDENCE_LINES_MAX} more lines)`]
        : []),
    ]),
    ...block(
      'what to do:',
      (error.errorContext?.recoveryActions ?? []).map((action) => `- ${escapeText(action)}`),
    ),
  ];
}
