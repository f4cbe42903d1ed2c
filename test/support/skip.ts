import type { Context } from 'mocha';

/**
 * Skips the test or the suite that `context` belongs to, and prints which and why: no test is left out in silence. Where test
 * files run beside one another the line stands anywhere in the report, so it names what it is about.
 */
export function skip(context: Context, why: string): never {
  console.log(`skipped: ${context.test?.fullTitle() ?? ''}: ${why}`);
  return context.skip();
}

/** Skips unless this process is root's, who alone can start a plugin as somebody else. */
export function skipUnlessRoot(context: Context): void {
  if (process.getuid?.() !== 0) skip(context, 'only root can start a plugin as another user');
}
