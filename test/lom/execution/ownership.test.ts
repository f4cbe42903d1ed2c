import assert from 'node:assert/strict';
import { startOwnership, type OwnershipSettings } from '../../../services/lom/execution/ownership.js';
import type { Store } from '../../../services/lom/store/store.js';
import { eventually } from '../../support/eventually.js';
import { planOf, recordExecution } from '../../support/recorded-execution.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { makeTempStore, type TempStore } from '../../support/temp-store.js';

const QUICK: OwnershipSettings = {
  leaseMs: 30,
  cancelPollMs: 10_000,
  retentionEveryMs: 10_000,
  retentionKeepMs: 3_600_000,
  retentionKeepMax: 1000,
};

describe('the ownership of executions', () => {
  let temp: TempStore;
  let store: Store;
  beforeEach(async () => {
    temp = await makeTempStore();
    ({ store } = temp);
  });
  afterEach(() => temp.remove());

  it('goes on with all others where one cannot be gone on with, and with that one when it can', async () => {
    const ids = [];
    for (let count = 0; count < 3; count += 1) ids.push((await recordExecution(store, planOf(['a']))).id);
    const [broken = '', ...others] = ids;
    const performed = new Map<string, number>();
    let faults = 0;
    const { logger, lines } = recordingLogger();
    const ownership = await startOwnership({
      store,
      owner: 'next',
      settings: QUICK,
      performs: (id) => performed.has(id),
      resume: async ({ id, epoch }) => {
        if (id === broken && (faults += 1) < 3) throw new Error('not yet');
        performed.set(id, epoch);
      },
      cancel: () => undefined,
      logger,
    });
    assert.deepEqual([...performed.keys()], others);
    await eventually(() => performed.has(broken), { label: 'the third try' });
    await ownership.stop();
    assert.deepEqual(
      ids.map((id) => performed.get(id)),
      [4, 2, 2],
    );
    assert.equal(lines.filter(({ level }) => level === 'error').length, 2);
  });
});
