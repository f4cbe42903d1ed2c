import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';

/** Runs the buf binary against a server; resolves with its exit code and what it printed. */
export function buf(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const bin = join(packageRoot, 'node_modules/.bin/buf');
  return new Promise((resolve) => {
    execFile(
      bin,
      ['curl', '--http2-prior-knowledge', '--protocol', 'grpc', ...args],
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}
