import { type Command, Option } from 'commander';
import { OUTPUT_FORMATS, type OutputFormat } from '../output-format.js';
import { parseDuration } from '../config/parse-duration.js';

/** Flags that every command which talks to LOM has. */
export interface ServiceOptions {
  readonly server?: string;
  readonly context?: string;
  /** How long a call that answers once may take. */
  readonly callTimeoutMs: number;
  /** Absent for the context's default. */
  readonly output?: OutputFormat;
}

const CALL_TIMEOUT_MS = 10_000;

/** Adds the flags that say how a service answers. */
export function addAnswerOptions(command: Command): Command {
  return command
    .addOption(
      new Option('-o, --output <format>', 'how results are written (default pretty)').choices(OUTPUT_FORMATS),
    )
    .option(
      '--call-timeout <duration>',
      'how long to wait for an answer of the service (default 10s); never limits a run',
      (text) => parseDuration(text, '--call-timeout'),
    );
}

/** Adds the flags of ServiceOptions to a command. */
export function addServiceOptions(command: Command): Command {
  return addAnswerOptions(command)
    .option('--server <host:port>', 'where LOM listens (RUNE_SERVER; default 127.0.0.1:50051)')
    .option('--context <name>', 'context of ~/.config/rune/config.yaml to use (RUNE_CONTEXT)');
}

/** The flags of ServiceOptions as commander hands them over. */
export interface ParsedServiceOptions {
  server?: string;
  context?: string;
  callTimeout?: number;
  output?: OutputFormat;
}

/** The parsed flags as ServiceOptions. */
export function serviceOptions(parsed: ParsedServiceOptions): ServiceOptions {
  return {
    callTimeoutMs: parsed.callTimeout ?? CALL_TIMEOUT_MS,
    ...(parsed.server === undefined ? {} : { server: parsed.server }),
    ...(parsed.context === undefined ? {} : { context: parsed.context }),
    ...(parsed.output === undefined ? {} : { output: parsed.output }),
  };
}
