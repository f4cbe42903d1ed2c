import type { Writable } from 'node:stream';
import winston from 'winston';
import { logFields } from './log-fields.js';
import { createLogSink } from './log-sink.js';

/** From the most to the least talkative. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
/** Name of a level. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Writes JSON lines: `time`, `level`, `service`, `message`, then the fields. Errors in fields are written with their causes;
 * keys named like a secret are redacted. Logging never throws and never waits.
 */
export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
  /** A logger that adds these fields to every line. */
  child(fields: Record<string, unknown>): Logger;
  /** Resolves when what was logged has left the process, or cannot leave it within a bounded time. */
  flush(): Promise<void>;
}

/** Makes the logger of a service on `stream`, normally standard error. */
export function createLogger(options: { level: LogLevel; service: string; stream: Writable }): Logger {
  const sink = createLogSink(options.stream);
  const { combine, printf } = winston.format;
  const writer = winston.createLogger({
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    level: options.level,
    format: combine(printf((info) => String(info.message))),
    transports: [new winston.transports.Stream({ stream: sink.stream, eol: '\n' })],
  });
  const lowest = LOG_LEVELS.indexOf(options.level);
  const time = createTimeText();

  const make = (bound: Record<string, unknown>): Logger => {
    const log = (level: LogLevel, message: string, fields: Record<string, unknown> = {}): void => {
      if (LOG_LEVELS.indexOf(level) < lowest) return;
      const head = { time: time(), level, service: options.service, message };
      // Two spreads would take longer than the rest of the line.
      writer.log(level, JSON.stringify(logFields(head, Object.assign({}, bound, fields))));
    };
    return {
      debug: (message, fields) => log('debug', message, fields),
      info: (message, fields) => log('info', message, fields),
      warn: (message, fields) => log('warn', message, fields),
      error: (message, fields) => log('error', message, fields),
      child: (fields) => make({ ...bound, ...fields }),
      flush: () => sink.flush(),
    };
  };
  return make({});
}

/** The time as text, which is made once a millisecond: that takes longer than most fields. */
function createTimeText(): () => string {
  let lastMs = Number.NaN;
  let text = '';
  return () => {
    const nowMs = Date.now();
    if (nowMs !== lastMs) text = new Date(nowMs).toISOString();
    lastMs = nowMs;
    return text;
  };
}
