import { parsePerformanceData } from './performance-data.js';
import type { PluginProtocol } from './plugin-protocol.js';
import { exitCodeOf, NO_INPUT, programAnswer } from './program.js';

const STATUS = ['OK', 'WARNING', 'CRITICAL'] as const;

/**
 * A monitoring plugin: its exit code is the status, its first line the text. OK, WARNING and CRITICAL are success, since the
 * check did its work; UNKNOWN is a failure.
 */
export const NAGIOS: PluginProtocol = {
  ...NO_INPUT,
  stderrBytesMax: 0,
  decode({ stdout, end }) {
    const { text, longText, performance } = split(stdout.toString());
    const { items, unread } = parsePerformanceData(performance);
    const status = 'exitCode' in end ? STATUS[end.exitCode] : undefined;
    const result = {
      status: status ?? 'UNKNOWN',
      ...exitCodeOf(end),
      text,
      long_text: longText,
      performance_data: items,
      ...(unread === '' ? {} : { performance_data_unread: unread }),
    };
    const said = text === '' ? 'it printed nothing' : text;
    return programAnswer(
      result,
      end,
      status === undefined ? `The check could not tell the status: ${said}` : undefined,
    );
  },
};

/**
 * What stands before and behind the bars: the first line may hold one; in the lines below everything behind the next bar is
 * performance data.
 */
function split(stdout: string): { text: string; longText: string; performance: string } {
  const lineEnd = stdout.indexOf('\n');
  const first = lineEnd < 0 ? stdout : stdout.slice(0, lineEnd);
  const rest = lineEnd < 0 ? '' : stdout.slice(lineEnd + 1);
  const [text, figures] = atBar(first);
  const [longText, moreFigures] = atBar(rest);
  return { text: text.trim(), longText: longText.trimEnd(), performance: `${figures} ${moreFigures}` };
}

function atBar(text: string): [before: string, behind: string] {
  const bar = text.indexOf('|');
  return bar < 0 ? [text, ''] : [text.slice(0, bar), text.slice(bar + 1)];
}
