import assert from 'node:assert/strict';
import type { Mediator } from '../../services/lmm/mediate.js';
import type { RunEvent } from '../../services/lmm/runs/kept-events.js';
import type { NodeCommand, NodeEnding, RunSink } from '../../services/lmm/transports/transport.js';
import { RuneError } from '../../services/shared/errors.js';
import type { Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { acceptHeader } from '../../services/shared/messages/header.js';
import { pluginOf, startMessage, succeedWith, type StartFields } from '../support/scripted-mediator.js';

/** The header of every call. */
export const header = acceptHeader(undefined, { identity: 'test', nowMs: Date.now() });
/** The bytes of a plugin, and the plugin of a start. */
export const script = Buffer.from('echo hello\n');
export const plugin = pluginOf(script);

/** A node on which every run succeeds. */
export const succeed = (_command: NodeCommand, sink: RunSink): Promise<NodeEnding> =>
  succeedWith(sink, '{"n":1}');

/** Starts a run and reads it to its end. */
export async function eventsOf(mediator: Mediator, fields: StartFields = {}): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  const run = mediator.start(startMessage(fields), header);
  for await (const event of run.events(new AbortController().signal)) events.push(event);
  return events;
}

/** Starts a run and answers its outcome. */
export async function outcomeOf(mediator: Mediator, fields: StartFields = {}): Promise<Outcome> {
  const last = (await eventsOf(mediator, fields)).at(-1)?.event;
  assert.ok(last?.$case === 'outcome');
  return last.value;
}

/** Cancels a run. */
export const cancel = (mediator: Mediator, runId: string, reason = ''): void =>
  mediator.cancel({ runId, reason, ownerEpoch: 0, lmmInstanceId: '' });

/** The name of the error with which a start is refused, or `accepted`. */
export const refusal = (mediator: Mediator, fields: StartFields): string => {
  try {
    mediator.start(startMessage(fields), header);
  } catch (error) {
    assert.ok(error instanceof RuneError);
    return error.name;
  }
  return 'accepted';
};
