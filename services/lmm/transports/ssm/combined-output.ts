import { readReport, type NodeReport } from './report.js';

/** What an agent writes between the two outputs where it shows both as one. */
const ERROR_TITLE = '\n----------ERROR-------\n';

/**
 * The report of a run out of both outputs as one, as lists of commands show them; undefined if any part of it, or of an output that
 * it carries, is missing there. Every field is a claim of the node.
 */
export function reportInCombined(
  runId: string,
  combined: string,
): Extract<NodeReport, { kind: 'report' }> | undefined {
  const [stdout = '', stderr = ''] = combined.split(ERROR_TITLE, 2);
  const report = readReport(runId, stdout, stderr);
  if (report.kind !== 'report') return undefined;
  const isWhole = [report.stdout, report.stderr].every(
    (output) => output !== undefined && output.bytes.length === output.totalBytes,
  );
  return isWhole ? report : undefined;
}
