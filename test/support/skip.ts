import type { Context } from 'mocha';

/** Skips the test or the suite that `context` belongs to, and prints why: no test is left out in silence. */
export function skip(context: Context, why: string): never {
  console.log(`      skipped: ${why}`);
  return context.skip();
}

/** Skips unless this process is root's, who alone can start a plugin as somebody else. */
export function skipUnlessRoot(context: Context): void {
  if (process.getuid?.() !== 0) skip(context, 'only root can start a plugin as another user');
}
