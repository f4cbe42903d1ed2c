import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../../services/shared/process/package-root.js';

const MODULE = join(packageRoot, 'dist/services/shared/process/let-heap-grow.js');

/** Collections of the whole heap, by a process that has 30 MiB alive, while 375 MiB go through it in pieces of 64 KiB. */
async function collectionsOfAFlood(before: string): Promise<number> {
  const program = `
    import { constants, PerformanceObserver } from 'node:perf_hooks';
    import { setImmediate as turn } from 'node:timers/promises';
    import { letHeapGrow } from '${MODULE}';
    ${before}
    const alive = Array.from({ length: 300_000 }, (_, index) => ({ index, text: 'x' + index }));
    const flood = async (pieces) => {
      const last = [];
      for (let piece = 0; piece < pieces; piece++) {
        last[piece % 32] = Buffer.allocUnsafeSlow(64 * 1024).fill(1);
        const shortLived = Array.from({ length: 50 }, (_, index) => ({ index }));
        if (shortLived.length > 0) await turn();
      }
    };
    // How much the heap may grow by, the engine learns from what went on between two collections.
    await flood(2_000);
    gc();
    await flood(4_000);
    gc();
    let whole = 0;
    const isWhole = ({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
    const observer = new PerformanceObserver((list) => (whole += list.getEntries().filter(isWhole).length));
    observer.observe({ entryTypes: ['gc'] });
    await flood(6_000);
    await turn();
    console.log(whole, alive.length);`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--input-type=module',
    '--eval',
    program,
  ]);
  return Number(stdout.split(' ')[0]);
}

describe('letHeapGrow', () => {
  it('keeps a process through which much goes from looking through what stays', async () => {
    const [without, withIt] = [await collectionsOfAFlood(''), await collectionsOfAFlood('letHeapGrow();')];
    assert.ok(without >= 4, `only ${without} without it`);
    assert.ok(withIt <= without / 4, `${withIt} with it, ${without} without it`);
  });
});
