import { EpsError } from '../../shared/gen/rune/v1/eps.js';
import type { RunResponse } from '../../shared/gen/rune/v1/lom.js';
import {
  ExecutionState,
  executionStateToJSON,
  Outcome,
  runStateToJSON,
} from '../../shared/gen/rune/v1/run.js';
import type { Io } from '../io.js';
import { escapeJson, escapeText } from '../render/escape-text.js';
import type { Tally } from './tally.js';
import type { View } from './view.js';

const encode = (value: unknown) => escapeJson(JSON.stringify(value));

function opening({ executionId, first }: Tally): string {
  const { action = '', version = '', digest = '' } = first ?? {};
  return `${encode({ executionId, action, version, digest }).slice(0, -1)},"runs":[`;
}

function closing({ final }: Tally, error: EpsError | undefined): string {
  const rest = {
    state: executionStateToJSON(final?.state ?? ExecutionState.UNSPECIFIED),
    counts: (final?.counts ?? []).map(({ state, count }) => ({ state: runStateToJSON(state), count })),
    ...(error === undefined ? {} : { error: EpsError.toJSON(error) }),
  };
  return `\n],${encode(rest).slice(1)}\n`;
}

function run({ node, runId, attempt }: RunResponse, outcome: Outcome): string {
  return encode({ node, runId, attempt, ...(Outcome.toJSON(outcome) as object) });
}

/**
 * The execution as one JSON document on standard output. Each run is written when it has ended, so memory does not grow with
 * the number of nodes; the document is closed whatever happens.
 */
export function createJsonView({ stdout, stderr }: Pick<Io, 'stdout' | 'stderr'>): View {
  let opened = false;
  let runs = 0;
  const open = (tally: Tally) => {
    const text = opened ? '' : opening(tally);
    opened = true;
    return text;
  };
  return {
    begin: (tally) => stdout.write(open(tally)),
    async event(event, tally) {
      if (event.event?.$case === 'execution') await stdout.write(open(tally));
      if (event.event?.$case !== 'outcome') return;
      const separator = runs === 0 ? '\n' : ',\n';
      runs += 1;
      await stdout.write(open(tally) + separator + run(event, event.event.value));
    },
    notice: (text) => stderr.write(`${escapeText(text)}\n`),
    end: (tally, error) => stdout.write(open(tally) + closing(tally, error)),
  };
}
