import type { Result } from '../../shared/gen/rune/v1/run.js';

/** The result's value: from the exact text the plugin printed, else from the decoded form. */
export function resultValue({ outputJson, output }: Result): unknown {
  if (outputJson.length === 0) return output;
  const text = outputJson.toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text; // The mediator checks it, so this is a foreign mediator's fault; the text is still worth showing.
  }
}
