import assert from 'node:assert/strict';
import { Outcome, RunState, StopReason } from '../../services/shared/gen/rune/v1/run.js';
import { judge, type Evidence } from './judge.js';

const UNTOUCHED = { link: false, plugin: false, bytes: false, mediator: false, way: false };
const NOT_RUN = { starts: 0, ends: [], plugins: [], supervisorPids: [] };
const RAN = { ...NOT_RUN, starts: 1, ends: ['ok'] };
const BEGAN = { ...NOT_RUN, starts: 1 };
const AT = new Date(0);

const verdict = (
  outcome: Parameters<typeof Outcome.fromPartial>[0] & { readonly name?: string },
  evidence: Partial<Evidence> = {},
  asked: Partial<Evidence['asked']> = {},
): string | undefined =>
  judge(Outcome.fromPartial({ ...outcome, error: { errorData: { name: outcome.name ?? '' } } }), {
    asked: {
      ending: 'ok',
      timeoutMs: 20_000,
      outlivesTimeout: false,
      cancelled: false,
      locks: false,
      cannotStart: false,
      ...asked,
    },
    trace: RAN,
    hits: UNTOUCHED,
    contended: false,
    tookMs: 500,
    ...evidence,
  });

const SUCCEEDED = { state: RunState.SUCCEEDED, startedAt: AT };
const LOST = { state: RunState.LOST, name: 'OUTCOME_UNKNOWN', stoppedOnNodeBy: AT };
const UNREACHED = { state: RunState.FAILED, name: 'NODE_UNREACHABLE' };
const NOT_SET_UP = { state: RunState.FAILED, name: 'NODE_SETUP_FAILED' };
const FAILED = { state: RunState.FAILED, name: 'PLUGIN_FAILED', startedAt: AT };
const CANCELLED = { state: RunState.CANCELLED, stopReason: StopReason.CANCEL };
const TIMED_OUT = { state: RunState.TIMED_OUT, startedAt: AT };
const LINK = { ...UNTOUCHED, link: true };
const PLUGIN = { ...UNTOUCHED, plugin: true };
const MEDIATOR = { ...UNTOUCHED, mediator: true };
const WAY = { ...UNTOUCHED, way: true };
const LOCKED = { state: RunState.FAILED, name: 'NODE_LOCKED' };
const NOT_TAKEN = { state: RunState.FAILED, name: 'MEDIATOR_UNAVAILABLE' };

describe('the judge of the chaos', () => {
  it('believes what the trace on the node and what was done to it bear out', () => {
    const verdicts = [
      verdict(SUCCEEDED),
      verdict(FAILED, { trace: { ...RAN, ends: ['fail'] } }, { ending: 'fail' }),
      verdict(LOST, { hits: LINK }),
      verdict(LOST, { hits: LINK, trace: NOT_RUN }),
      verdict(LOST, { hits: MEDIATOR, trace: BEGAN }),
      verdict(UNREACHED, { hits: LINK, trace: NOT_RUN }),
      verdict(NOT_TAKEN, { hits: MEDIATOR, trace: NOT_RUN }),
      verdict(NOT_TAKEN, { hits: WAY, trace: NOT_RUN }),
      verdict(LOCKED, { contended: true, trace: NOT_RUN }),
      verdict(NOT_SET_UP, { trace: NOT_RUN }, { cannotStart: true }),
      verdict({ ...FAILED, name: 'PLUGIN_KILLED' }, { hits: PLUGIN, trace: BEGAN }),
      verdict(CANCELLED, { trace: NOT_RUN }, { cancelled: true }),
      verdict(TIMED_OUT, { trace: BEGAN, tookMs: 1_000 }, { outlivesTimeout: true, timeoutMs: 1_000 }),
    ];
    assert.deepEqual(new Set(verdicts), new Set([undefined]));
  });

  for (const [lie, say] of [
    ['a success that the node knows nothing of', () => verdict(SUCCEEDED, { trace: NOT_RUN })],
    ['a success of a plugin that did not come to its end', () => verdict(SUCCEEDED, { trace: BEGAN })],
    ['a success of a plugin that failed', () => verdict(SUCCEEDED, { trace: { ...RAN, ends: ['fail'] } })],
    ['a run that started twice', () => verdict(SUCCEEDED, { trace: { ...RAN, starts: 2 } })],
    ['"nothing ran" of what ran', () => verdict(UNREACHED, { hits: LINK, trace: BEGAN })],
    [
      'a cancel before the start of what ran',
      () => verdict(CANCELLED, { trace: BEGAN }, { cancelled: true }),
    ],
    ['a node that is not reached though nothing touched it', () => verdict(UNREACHED, { trace: NOT_RUN })],
    [
      'a refused login where only the link was hurt',
      () => verdict({ ...UNREACHED, name: 'AUTHENTICATION_FAILED' }, { hits: LINK, trace: NOT_RUN }),
    ],
    [
      'a changed host key where no byte was changed',
      () => verdict({ ...UNREACHED, name: 'HOST_KEY_CHANGED' }, { hits: LINK, trace: NOT_RUN }),
    ],
    [
      'a node that starts nothing though nothing is wrong with it',
      () => verdict(NOT_SET_UP, { trace: NOT_RUN }),
    ],
    ['a success where nothing can run', () => verdict(SUCCEEDED, {}, { cannotStart: true })],
    ['a lost link that nothing touched', () => verdict(LOST, { hits: PLUGIN })],
    ['a run that is lost because an orchestrator lost its mediator', () => verdict(LOST, { hits: WAY })],
    ['a mediator that is away though nothing touched any', () => verdict(NOT_TAKEN, { trace: NOT_RUN })],
    ['a node that is locked though nobody else had it', () => verdict(LOCKED, { trace: NOT_RUN })],
    ['a node that is locked and ran it', () => verdict(LOCKED, { contended: true, trace: BEGAN })],
    ['a mediator that is away and ran it', () => verdict(NOT_TAKEN, { hits: MEDIATOR, trace: BEGAN })],
    [
      'a lost run that may live for ever',
      () => verdict({ state: RunState.LOST, name: 'OUTCOME_UNKNOWN' }, { hits: LINK }),
    ],
    ['a failure of a plugin that succeeded', () => verdict(FAILED, { hits: LINK })],
    ['a kill that nobody did', () => verdict({ ...FAILED, name: 'PLUGIN_KILLED' }, { hits: LINK })],
    ['a cancel that nobody asked for', () => verdict({ ...CANCELLED, startedAt: AT }, { hits: LINK })],
    [
      'a timeout too early',
      () => verdict(TIMED_OUT, { tookMs: 999 }, { outlivesTimeout: true, timeoutMs: 1_000 }),
    ],
    ['a timeout of a run that had time enough', () => verdict(TIMED_OUT, { tookMs: 30_000 })],
    ['a fault of ours', () => verdict({ ...FAILED, name: 'INTERNAL' }, { hits: LINK })],
  ] as const) {
    it(`does not believe ${lie}`, () => assert.equal(typeof say(), 'string'));
  }
});
