import type { Output } from './io.js';
import type { OutputFormat } from './output-format.js';
import { escapeJson } from './render/escape-text.js';

/** Writes the answer of a command that answers once: as lines for people, or as one JSON document on one line. */
export function writeAnswer(
  stdout: Output,
  format: OutputFormat,
  answer: { json(): unknown; pretty(): readonly string[] },
): Promise<void> {
  return stdout.write(
    format === 'pretty'
      ? answer
          .pretty()
          .map((line) => `${line}\n`)
          .join('')
      : `${escapeJson(JSON.stringify(answer.json()))}\n`,
  );
}
