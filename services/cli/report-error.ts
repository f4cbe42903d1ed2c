import { EXIT_CODE, RuneError } from '../shared/errors.js';
import { type Io, mayColour } from './io.js';
import type { OutputFormat } from './output-format.js';
import { escapeText } from './render/escape-text.js';
import { createStyle } from './render/style.js';

/**
 * Explains an error on standard error and answers the exit code. For machines a refused request is also a JSON document
 * `{"error": …}` on standard output; a wrong command line is not, because its format is not known yet;
 * `advice` then says where to read on.
 */
export async function reportError(
  io: Pick<Io, 'stdout' | 'stderr' | 'env'>,
  thrown: unknown,
  format: OutputFormat,
  advice = '',
): Promise<number> {
  const style = createStyle(mayColour(io.stderr, io.env));
  if (thrown instanceof RuneError && thrown.name === 'CALL_CANCELLED') {
    // The person knows: it was their own interrupt.
    await io.stderr.write(`${style.red('rune:')} ${escapeText(thrown.message)}\n`);
    return EXIT_CODE.CANCELLED;
  }
  if (!(thrown instanceof RuneError)) {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    const lines = text.split('\n').map(escapeText).join('\n');
    await io.stderr.write(
      `${style.red('rune: this is a fault of the command line; please report it:')}\n${lines}\n`,
    );
    return EXIT_CODE.UNKNOWN;
  }
  const [{ toEps }, { errorDetails, errorHeadline }] = await Promise.all([
    import('../shared/messages/eps.js'),
    import('./render/render-error.js'),
  ]);
  const eps = toEps(thrown, { source: 'rune' });
  const wrongCommand = thrown.name === 'COMMAND_INVALID';
  // Only services that the command line itself starts say this, of what its flags and variables gave them.
  const usage = wrongCommand || thrown.name === 'CONFIGURATION_INVALID';
  const headline = wrongCommand ? escapeText(thrown.message) : errorHeadline(eps);
  const details = wrongCommand
    ? (thrown.facts.validationErrors ?? []).map(({ field, description }) =>
        escapeText(`${field}: ${description}`),
      )
    : errorDetails(eps, { withLog: true });
  const text =
    details.map((line) => `  ${line}\n`).join('') + (wrongCommand && advice !== '' ? `${advice}\n` : '');
  await io.stderr.write(`${style.red('rune:')} ${headline}\n${text}`);
  if (format !== 'pretty' && !usage) {
    const [{ EpsError }, { escapeJson }] = await Promise.all([
      import('../shared/gen/rune/v1/eps.js'),
      import('./render/escape-text.js'),
    ]);
    await io.stdout.write(`${escapeJson(JSON.stringify({ error: EpsError.toJSON(eps) }))}\n`);
  }
  return usage ? EXIT_CODE.USAGE : EXIT_CODE[thrown.row.exit];
}
