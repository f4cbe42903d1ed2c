import { EpsError } from '../../shared/gen/rune/v1/eps.js';
import { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import type { Io } from '../io.js';
import { escapeJson, escapeText } from '../render/escape-text.js';
import type { View } from './view.js';

/** Every event as one line of JSON on standard output; an early end adds a line `{"error": …}`. */
export function createNdjsonView({ stdout, stderr }: Pick<Io, 'stdout' | 'stderr'>): View {
  const line = (value: unknown) => stdout.write(`${escapeJson(JSON.stringify(value))}\n`);
  return {
    begin: () => Promise.resolve(),
    event: (event) => line(RunResponse.toJSON(event)),
    notice: (text) => stderr.write(`${escapeText(text)}\n`),
    async end(_tally, error) {
      if (error !== undefined) await line({ error: EpsError.toJSON(error) });
    },
  };
}
