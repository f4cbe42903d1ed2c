import assert from 'node:assert/strict';
import { FIRST_BEAT, type ModuleRecord } from '../../../services/lom/store/module-record.js';
import type { Store } from '../../../services/lom/store/store.js';
import { ModuleRegistration, ModuleType } from '../../../services/shared/gen/rune/v1/mrs.js';
import { HeartbeatModuleRequest, ModuleHealth } from '../../../services/shared/gen/rune/v1/registry.js';
import { newId } from '../../../services/shared/messages/ids.js';

const NOTHING = { registrationIds: [], reason: '' };

function newRecord(name: string, version = '1.0.0', fields: Partial<ModuleRecord> = {}): ModuleRecord {
  return {
    registrationId: newId(),
    registration: ModuleRegistration.fromPartial({
      moduleIdentity: {
        moduleName: name,
        moduleVersion: version,
        moduleType: ModuleType.PLUGIN_PROVIDER,
        description: 'Ünïcode 🚀',
      },
    }),
    contentDigest: 'digest',
    registeredBy: 'CN=ci,O=Example',
    beat: FIRST_BEAT,
    registeredMs: 1_700_000_000_000,
    heartbeatMs: 1_700_000_000_000,
    expiresMs: 1_900_000_000_000,
    renews: true,
    endedMs: 0,
    endReason: '',
    ...fields,
  };
}

/** What every store does with registrations. */
export function moduleContract(opened: () => Store): void {
  const find = async (registrationId: string): Promise<ModuleRecord | undefined> =>
    (await opened().modules.list()).records.find((record) => record.registrationId === registrationId);

  describe('registrations', () => {
    it('are recorded with their content, and listed with the time of the database', async () => {
      const content = Buffer.from([0, 1, 255, 0]);
      const record = newRecord('recorded');
      assert.equal(await opened().modules.add(record, content, NOTHING), true);
      assert.deepEqual(await find(record.registrationId), record);
      assert.deepEqual(await opened().modules.content(record.registrationId), content);
      assert.equal(await opened().modules.content(newId()), undefined);
      assert.ok(Math.abs((await opened().modules.list()).nowMs - Date.now()) < 3_600_000);
      // As after an answer that was lost.
      assert.equal(await opened().modules.add(record, content, NOTHING), true);
    });

    it('of one name and version exist once, also when two are added at once', async () => {
      const [one, other] = [newRecord('once'), newRecord('once')];
      const added = await Promise.all(
        [one, other].map((record) => opened().modules.add(record, Buffer.from('x'), NOTHING)),
      );
      assert.equal(added.filter(Boolean).length, 1);
      assert.equal(await opened().modules.add(newRecord('once', '1.0.1'), undefined, NOTHING), true);
    });

    it('take the place of others in the same step, or change nothing', async () => {
      const first = newRecord('replaced');
      await opened().modules.add(first, undefined, NOTHING);
      const taken = newRecord('taken');
      await opened().modules.add(taken, undefined, NOTHING);
      const ends = { registrationIds: [first.registrationId], reason: 'replaced' };
      assert.equal(await opened().modules.add(newRecord('taken'), undefined, ends), false);
      assert.equal((await find(first.registrationId))?.endedMs, 0);
      const next = newRecord('replaced', '1.0.0', { registeredMs: 1_700_000_000_001 });
      assert.equal(await opened().modules.add(next, undefined, ends), true);
      const ended = await find(first.registrationId);
      assert.deepEqual([ended?.endedMs, ended?.endReason], [1_700_000_000_001, 'replaced']);
    });

    it('keep the newest heartbeat, and none after their end', async () => {
      const record = newRecord('beating');
      const { registrationId } = record;
      await opened().modules.add(record, undefined, NOTHING);
      const load = HeartbeatModuleRequest.fromPartial({ load: { runsActive: 3, runsMax: 9 } }).load;
      const beat = {
        ...FIRST_BEAT,
        health: ModuleHealth.DEGRADED,
        healthReason: 'hot',
        load,
        draining: true,
      };
      const beatAt = (heartbeatMs: number): Promise<void> =>
        opened().modules.beat([{ registrationId, heartbeatMs, expiresMs: heartbeatMs + 1, beat }]);
      const { heartbeatMs } = record;
      await beatAt(heartbeatMs + 10);
      await opened().modules.beat([{ ...record, heartbeatMs: heartbeatMs + 5 }]);
      const now = await find(registrationId);
      assert.deepEqual(now, { ...record, beat, heartbeatMs: heartbeatMs + 10, expiresMs: heartbeatMs + 11 });
      await opened().modules.end([registrationId], 'enough');
      await beatAt(heartbeatMs + 20);
      const ended = await find(registrationId);
      assert.deepEqual([ended?.heartbeatMs, ended?.endReason], [heartbeatMs + 10, 'enough']);
      assert.ok((ended?.endedMs ?? 0) > 0);
    });

    it('are changed while they last, and forgotten with their content after it', async () => {
      const record = newRecord('changing');
      const { registrationId } = record;
      await opened().modules.add(record, Buffer.from('x'), NOTHING);
      const registration = ModuleRegistration.fromPartial({ moduleIdentity: { moduleName: 'changing' } });
      const change = { registrationId, registration, expiresMs: 5, renews: false };
      assert.equal(await opened().modules.change(change), true);
      assert.deepEqual(await find(registrationId), { ...record, ...change });
      await opened().modules.end([registrationId], '');
      assert.equal(await opened().modules.change(change), false);
      const { endedMs = 0 } = (await find(registrationId)) ?? {};
      await opened().modules.forget(endedMs);
      assert.ok((await find(registrationId)) !== undefined);
      await opened().modules.forget(endedMs + 1);
      assert.equal(await find(registrationId), undefined);
      assert.equal(await opened().modules.content(registrationId), undefined);
    });
  });
}
