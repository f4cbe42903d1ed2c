import type { Command } from 'commander';
import { parseDuration } from '../config/parse-duration.js';

/** How long a command that watches an execution waits for a service that was lost, unless it is told. */
export const RESUME_FOR_MS = 60_000;

/** Adds the flag that says how long to wait for a service that was lost; commander calls it `resumeFor`. */
export function addResumeOption(command: Command): Command {
  return command.option(
    '--resume-for <duration>',
    'how long to wait for a service that is lost meanwhile, to go on where it was (default 60s)',
    (text) => parseDuration(text, '--resume-for'),
  );
}
