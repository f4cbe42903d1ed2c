import type { Io } from '../io.js';
import type { OutputFormat } from '../output-format.js';
import type { Session } from '../with-service.js';
import { createJsonView } from './json-view.js';
import { createNdjsonView } from './ndjson-view.js';
import { createOutputSchema, type OutputSchema } from './output-schema.js';
import { createPrettyView } from './pretty-view.js';
import type { ContentOptions } from './readable-result.js';
import type { View } from './view.js';

const VIEWS: Readonly<Record<OutputFormat, (io: Io, content: ContentOptions) => View>> = {
  pretty: createPrettyView,
  json: createJsonView,
  ndjson: createNdjsonView,
};

/** The view of an execution of `action`, in the format that was asked for, and the output schema that it reads results by. */
export function openView(
  io: Io,
  { client, call, output }: Pick<Session, 'client' | 'call' | 'output'>,
  action: string,
  { saved }: { readonly saved: boolean },
): { view: View; outputSchema: OutputSchema } {
  // After the first Ctrl-C outcomes are still shown and saved.
  const late = { timeoutMs: call.timeoutMs, signal: io.interrupts.second };
  const outputSchema = createOutputSchema(client, action, late, (text) => view.notice(text));
  const view = VIEWS[output](io, { outputSchema, saved });
  return { view, outputSchema };
}
