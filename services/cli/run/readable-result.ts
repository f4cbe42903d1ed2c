import type { Result } from '../../shared/gen/rune/v1/run.js';
import { formatSize } from '../render/format-size.js';
import { decodeBase64, mapContent } from './map-content.js';
import type { OutputSchema } from './output-schema.js';
import { resultValue } from './result-value.js';

/** A result without so many characters in a row holds no bytes worth asking the service for the output schema. */
const LONG_TEXT = /[^"\s]{200}/;

/** What is needed to show bytes as such. */
export interface ContentOptions {
  readonly outputSchema: OutputSchema;
  /** Whether --save writes them to files. */
  readonly saved: boolean;
}

/** A string of base64 as what it is: nobody reads 100 KiB of it on a terminal. */
function contentWords(text: string, saved: boolean): string {
  const bytes = decodeBase64(text);
  if (bytes === undefined) return `${formatSize(text.length)}, not valid base64; --output json shows it`;
  return `${formatSize(bytes.length)}, base64${saved ? '' : '; --save DIR keeps it'}`;
}

/** The result's value for a person: strings of base64 are replaced by their size. */
export async function readableResult(result: Result, content?: ContentOptions): Promise<unknown> {
  const value = resultValue(result);
  if (content === undefined || !LONG_TEXT.test(result.outputJson.toString('latin1'))) return value;
  return mapContent(await content.outputSchema(), value, ({ text }) => contentWords(text, content.saved));
}
