import { EXIT_CODE } from '../../../shared/errors.js';
import type { PluginLintOptions } from '../../commands/plugin.js';
import type { Io } from '../../io.js';
import { mayColour } from '../../io.js';
import { escapeJson, escapeText } from '../../render/escape-text.js';
import { createStyle } from '../../render/style.js';
import { reportError } from '../../report-error.js';
import { countWords } from '../count-words.js';
import type { Finding } from './finding.js';
import { lintPlugin } from './lint-plugin.js';

async function write(
  findings: readonly Finding[],
  { directory, output }: PluginLintOptions,
  io: Io,
): Promise<void> {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  if (output === 'json') {
    await io.stdout.write(`${escapeJson(JSON.stringify({ findings, errors, warnings }))}\n`);
    return;
  }
  if (output === 'ndjson') {
    for (const finding of findings) await io.stdout.write(`${escapeJson(JSON.stringify(finding))}\n`);
    return;
  }
  const style = createStyle(mayColour(io.stdout, io.env));
  for (const { file, line, severity, rule, message } of findings) {
    const where = line === undefined ? file : `${file}:${line}`;
    const dressed = severity === 'error' ? style.red(severity) : style.yellow(severity);
    await io.stdout.write(`${escapeText(where)}: ${dressed}: ${escapeText(`${message} [${rule}]`)}\n`);
  }
  const found =
    findings.length === 0
      ? 'nothing to complain about'
      : `${countWords(errors, 'error')}, ${countWords(warnings, 'warning')}`;
  await io.stderr.write(`${escapeText(directory)}: ${found}\n`);
}

/** `rune plugin lint`: answers the exit code, 1 if there is an error or, with --strict, anything at all. */
export async function lintCommand(options: PluginLintOptions, io: Io): Promise<number> {
  try {
    const findings = await lintPlugin(options.directory, io.env);
    await write(findings, options, io);
    const isFaulty = findings.some(({ severity }) => options.strict || severity === 'error');
    return isFaulty ? EXIT_CODE.PLUGIN_FAILED : EXIT_CODE.SUCCEEDED;
  } catch (error) {
    return reportError(io, error, options.output, 'See: rune plugin lint --help');
  }
}
