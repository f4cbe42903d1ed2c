import type { Logger, LogLevel } from '../../services/shared/logging/logger.js';

/** A logger that keeps its lines, for a look at what was logged. */
export function recordingLogger(): { logger: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const make = (bound: Record<string, unknown>): Logger => {
    const at =
      (level: LogLevel) =>
      (message: string, fields: Record<string, unknown> = {}): void =>
        void lines.push({ level, message, ...bound, ...fields });
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => make({ ...bound, ...fields }),
      flush: () => Promise.resolve(),
    };
  };
  return { logger: make({}), lines };
}
