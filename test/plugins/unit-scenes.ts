import type { UnitProperties } from '../support/scripted-node.js';

const LOADED: UnitProperties = {
  Description: 'A service of the test',
  LoadState: 'loaded',
  UnitFileState: 'enabled',
  Type: 'simple',
  CanStart: 'yes',
  RefuseManualStop: 'no',
  NeedDaemonReload: 'no',
  ConditionResult: 'yes',
  RequiredBy: '',
  BoundBy: '',
  ConsistsOf: '',
  MemoryCurrent: '[not set]',
  TasksCurrent: '18446744073709551615',
  CPUUsageNSec: '1234567890',
  ActiveExitTimestamp: '',
  InactiveEnterTimestamp: 'Sun 2026-11-22 03:01:00 UTC',
  InactiveExitTimestamp: 'Sun 2026-11-22 03:02:00 UTC',
};

/** A unit that runs; `start` tells one start from another and is also its process id. */
export const running = (start: number, more: UnitProperties = {}): UnitProperties => ({
  ...LOADED,
  ActiveState: 'active',
  SubState: 'running',
  Result: 'success',
  MainPID: `${start}`,
  ExecMainStatus: '0',
  NRestarts: '0',
  Job: '',
  ActiveEnterTimestamp: 'Sun 2026-11-22 03:00:00 UTC',
  ActiveEnterTimestampMonotonic: `${start}000000`,
  ...more,
});

/** A unit that is on its way up, with systemd's job. */
export const starting: UnitProperties = running(0, {
  ActiveState: 'activating',
  SubState: 'start',
  Job: '42',
});

/** A unit that was stopped. */
export const stopped: UnitProperties = running(0, { ActiveState: 'inactive', SubState: 'dead' });

/** A unit whose process ended with this status. */
export const failed = (exitStatus: number, more: UnitProperties = {}): UnitProperties =>
  running(0, {
    ActiveState: 'failed',
    SubState: 'failed',
    Result: 'exit-code',
    ExecMainStatus: `${exitStatus}`,
    ...more,
  });

/** A unit that systemd does not know. */
export const unknown: UnitProperties = { ...stopped, LoadState: 'not-found' };
