import { outcomeMs } from '../../render/describe-outcome.js';
import { escapeJson, escapeText } from '../../render/escape-text.js';
import { formatDuration } from '../../render/format-duration.js';
import { createStyle } from '../../render/style.js';
import { type Io, mayColour } from '../../io.js';
import type { OutputFormat } from '../../output-format.js';
import type { Observed } from './check-case.js';
import type { TestCase } from './plan-cases.js';

const LOG_LINES_SHOWN_MAX = 10;

/** Tells how cases came out. */
export interface Report {
  ran(one: TestCase, observed: Observed, differences: readonly string[]): Promise<void>;
  skipped(one: TestCase, reason: string): Promise<void>;
  /** Sums up; whether every case that ran is good. */
  end(): Promise<boolean>;
}

interface CaseResult {
  readonly action: string;
  readonly name: string;
  readonly result: 'ok' | 'failed' | 'skipped';
  readonly seconds?: number;
  readonly differences?: readonly string[];
  readonly log?: readonly string[];
  readonly reason?: string;
}

const milliseconds = ({ end }: Observed): number => ('outcome' in end ? (outcomeMs(end.outcome) ?? 0) : 0);

/** A report in one of the output formats: a line for each case as it ends; as `json` one document at the end. */
export function createReport(format: OutputFormat, { stdout, stderr, env, nowMs }: Io): Report {
  const style = createStyle(mayColour(stdout, env));
  const startedMs = nowMs();
  const results: CaseResult[] = [];
  const count = (result: CaseResult['result']): number =>
    results.filter((one) => one.result === result).length;

  async function add(result: CaseResult, lines: readonly string[]): Promise<void> {
    results.push(result);
    if (format === 'pretty') await stdout.write(lines.map((line) => `${line}\n`).join(''));
    if (format === 'ndjson') await stdout.write(`${escapeJson(JSON.stringify(result))}\n`);
  }

  return {
    async ran({ action, name }, observed, differences) {
      const ms = milliseconds(observed);
      const log = observed.log.slice(-LOG_LINES_SHOWN_MAX);
      const title = `${escapeText(`${action}: ${name}`)}  ${formatDuration(ms)}`;
      const seconds = ms / 1000;
      if (differences.length === 0) {
        await add({ action, name, result: 'ok', seconds }, [`${style.green('ok')}    ${title}`]);
        return;
      }
      await add({ action, name, result: 'failed', seconds, differences, log }, [
        `${style.red('FAIL')}  ${title}`,
        ...differences.map((difference) => `      ${escapeText(difference)}`),
        ...log.map((line) => style.dim(`      | ${escapeText(line)}`)),
      ]);
    },
    async skipped({ action, name }, reason) {
      const title = escapeText(`${action}: ${name}  (${reason})`);
      await add({ action, name, result: 'skipped', reason }, [`${style.yellow('skip')}  ${title}`]);
    },
    async end() {
      const counts = { ok: count('ok'), failed: count('failed'), skipped: count('skipped') };
      if (format === 'json') {
        await stdout.write(`${escapeJson(JSON.stringify({ cases: results, ...counts }))}\n`);
      } else if (format === 'pretty') {
        const words = Object.entries(counts).flatMap(([what, many]) =>
          many === 0 ? [] : [`${many} ${what}`],
        );
        const summary = words.length === 0 ? 'no cases: the manifest has no examples' : words.join(', ');
        await stderr.write(`${summary} in ${formatDuration(nowMs() - startedMs)}\n`);
      }
      return counts.failed === 0;
    },
  };
}
