import type { SsmAddress } from '../../../shared/gen/rune/v1/run.js';
import type { NodeCommand, RunSink, StopSignal } from '../transport.js';
import type { OutputBucket } from './output-bucket.js';
import type { Clock } from './rate-budget.js';
import type { SendRun } from './send-together.js';
import type { SsmAccess } from './ssm-access.js';
import type { SsmSettings } from './ssm-settings.js';

/** What a run over Systems Manager works with. */
export interface SsmRunDeps {
  readonly access: SsmAccess;
  readonly send: SendRun;
  readonly address: SsmAddress;
  /** Where agents put whole outputs; undefined for nowhere. */
  readonly bucket: OutputBucket | undefined;
  readonly settings: SsmSettings;
  readonly clock: Clock;
}

/** One run over Systems Manager. */
export interface SsmRun {
  readonly command: NodeCommand;
  readonly sink: RunSink;
  readonly stop: StopSignal;
}

/** The command of a run, sent by this process or by another one. */
export interface SentRun {
  readonly commandId: string;
  readonly sentAt: Date;
  /** Undefined where another process sent it. */
  readonly connectMs: number | undefined;
}
