#!/usr/bin/env node
import { EXIT_CODE } from '../shared/errors.js';
import { runCli } from './cli.js';
import { createOutput, type Interrupts } from './io.js';

/** After the second interrupt, how long a command may take to close what it writes. */
const LEAVE_MS = 500;

function watchSignals(): Interrupts {
  const [first, second] = [new AbortController(), new AbortController()];
  const onSignal = () => {
    if (!first.signal.aborted) {
      first.abort();
    } else if (!second.signal.aborted) {
      second.abort();
      setTimeout(() => process.exit(EXIT_CODE.CANCELLED), LEAVE_MS).unref();
    } else {
      process.exit(EXIT_CODE.CANCELLED);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return { first: first.signal, second: second.signal };
}

// Advice to programmers of libraries is nothing for a person at a terminal.
process.noDeprecation = true;
process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: createOutput(process.stdout),
  stderr: createOutput(process.stderr),
  env: process.env,
  interrupts: watchSignals(),
  nowMs: Date.now,
});
