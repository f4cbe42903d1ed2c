import { EXIT_CODE } from '../shared/errors.js';
import { runCli } from './cli.js';
import { createOutput, type Interrupts } from './io.js';

/** How long a command may take to end after the second interrupt, or to let go of what it waited for after the first. */
const LEAVE_MS = 500;

function watchSignals(): Interrupts {
  const [first, second] = [new AbortController(), new AbortController()];
  const onSignal = () => {
    if (!first.signal.aborted) {
      first.abort();
    } else if (!second.signal.aborted) {
      second.abort();
      setTimeout(() => process.exit(EXIT_CODE.UNKNOWN), LEAVE_MS).unref();
    } else {
      process.exit(EXIT_CODE.UNKNOWN);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return { first: first.signal, second: second.signal };
}

/** Ends the process although a call of the operating system that never returns keeps it alive. */
function forceEnd(code: number): void {
  if (code !== EXIT_CODE.CANCELLED) process.exit(code);
  // An exit would wait for that call too. Death by the signal does not, and a shell shows it as the same 130.
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
}

// Advice to programmers of libraries is nothing for a person at a terminal.
process.noDeprecation = true;
const interrupts = watchSignals();
void runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: createOutput(process.stdout),
  stderr: createOutput(process.stderr),
  env: process.env,
  interrupts,
  nowMs: Date.now,
}).then((code) => {
  process.exitCode = code;
  if (interrupts.first.aborted) setTimeout(() => forceEnd(code), LEAVE_MS).unref();
});
