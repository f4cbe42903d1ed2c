import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { toEps } from '../../shared/messages/eps.js';
import { EpsError } from '../../shared/gen/rune/v1/eps.js';
import { RCS_VERSION } from '../../shared/messages/header.js';
import { packageVersion } from '../../shared/process/package-version.js';
import { allActions, allNodes } from '../catalogue/pages.js';
import { renderProbe } from '../catalogue/nodes-command.js';
import type { DoctorOptions } from '../commands/doctor.js';
import { exitNameOfError } from '../exit-code.js';
import { mayColour } from '../io.js';
import { escapeText } from '../render/escape-text.js';
import { errorDetails, errorHeadline } from '../render/render-error.js';
import { createStyle, type Style } from '../render/style.js';
import type { Deps } from '../connect.js';
import { type Session, withService } from '../with-service.js';
import { writeAnswer } from '../write-answer.js';
import type { Check } from './check.js';
import { checkMediators } from './check-mediators.js';

const RESTING_NAMED_MAX = 5;
const MARKS = { ok: ' ok ', warn: 'warn', fail: 'FAIL', skip: 'skip' } as const;

const ok = (name: string, message: string, details: readonly string[] = []): Check => ({
  name,
  state: 'ok',
  message,
  details,
});

function failed(name: string, error: EpsError, details?: readonly string[]): Check {
  return {
    name,
    state: 'fail',
    message: errorHeadline(error),
    details: details ?? errorDetails(error, { withLog: true }),
    error,
  };
}

/** What was thrown as a failed check. An interrupt is no finding and goes on. */
function failure(name: string, thrown: unknown): Check {
  const error = RuneError.from(thrown);
  if (error.name === 'CALL_CANCELLED') throw error;
  return failed(name, toEps(error, { source: 'rune' }));
}

/** The check, or its failure. */
async function attempt(name: string, check: () => Promise<Check>): Promise<Check> {
  try {
    return await check();
  } catch (thrown) {
    return failure(name, thrown);
  }
}

function restingWords(names: readonly string[]): string {
  const more = names.length - RESTING_NAMED_MAX;
  const named = names.slice(0, RESTING_NAMED_MAX).join(', ') + (more > 0 ? ` and ${more} more` : '');
  return escapeText(`in maintenance, so a run there is refused: ${named}`);
}

const counted = (count: number, word: string) => (count === 1 ? `1 ${word}` : `${count} ${word}s`);

function loaded(name: string, count: number, word: string, none: string): Check {
  return count > 0
    ? ok(name, `${counted(count, word)} loaded`)
    : { name, state: 'warn', message: `no ${word}s loaded`, details: [none] };
}

async function checks(nodes: readonly string[], session: Session): Promise<Check[]> {
  const { client, call, address } = session;
  const service = await attempt('service', async () => {
    const { header } = await client.listActions({ pageSize: 1 }, call);
    const version = header?.messageMetadata?.version ?? '';
    return ok('service', `LOM answers on ${address}, protocol ${escapeText(version || 'unknown')}`);
  });
  const names = ['health', 'actions', 'nodes', 'mediators', ...nodes.map((node) => `node ${node}`)];
  if (service.state === 'fail') {
    const skipped = names.map((name) => ({
      name: escapeText(name),
      state: 'skip' as const,
      message: 'not tried: the service does not answer',
      details: [],
    }));
    return [service, ...skipped];
  }
  const found = [service];
  const [actions, usable, resting]: [string[], string[], string[]] = [[], [], []];
  found.push(
    await attempt('health', async () =>
      (await client.isServing(call))
        ? ok('health', 'SERVING')
        : failed(
            'health',
            toEps(new RuneError('SERVICE_SHUTTING_DOWN', 'The service says NOT_SERVING.'), {
              source: 'rune',
            }),
          ),
    ),
    await attempt('actions', async () => {
      for await (const { action } of allActions(client, call)) actions.push(action);
      const hint = 'Set LOM_PLUGINS to the directories of plugin bundles.';
      return loaded('actions', actions.length, 'action', hint);
    }),
    await attempt('nodes', async () => {
      for await (const { name, maintenance } of allNodes(client, call)) {
        (maintenance ? resting : usable).push(name);
      }
      const all = usable.length + resting.length;
      const check = loaded('nodes', all, 'node', 'Set LOM_INVENTORY to the inventory files.');
      return resting.length === 0 ? check : { ...check, state: 'warn', details: [restingWords(resting)] };
    }),
  );
  try {
    found.push(...(await checkMediators(session, actions, usable)));
  } catch (thrown) {
    found.push(failure('mediators', thrown));
  }
  for (const node of nodes) {
    const name = escapeText(`node ${node}`);
    found.push(
      await attempt(name, async () => {
        const { node: known, probe } = await client.getNode({ name: node, probe: true }, call);
        if (probe?.error !== undefined) return failed(name, probe.error);
        if (known?.maintenance === true) {
          const message = 'can be reached, but is in maintenance: a run there is refused';
          return { name, state: 'warn', message, details: [] };
        }
        if (probe?.ssmAgent !== undefined) return ok(name, 'its SSM agent is online', renderProbe(probe));
        return ok(
          name,
          'can be reached and accepts the login',
          probe === undefined || probe.hostKeyFingerprint === '' ? [] : renderProbe(probe),
        );
      }),
    );
  }
  return found;
}

function lines(found: readonly Check[], style: Style): string[] {
  const dress = { ok: style.green, warn: style.yellow, fail: style.red, skip: style.dim } as const;
  const width = Math.max(...found.map(({ name }) => name.length));
  return found.flatMap(({ name, state, message, details }) => [
    `[${dress[state](MARKS[state])}] ${name.padEnd(width)}  ${message}`,
    ...details.map((line) => `${' '.repeat(width + 9)}${line}`),
  ]);
}

/** `rune doctor`: prints a check list and answers the exit code of the first check that failed, 0 if none did. */
export function diagnose({ service, nodes }: DoctorOptions, deps: Deps): Promise<number> {
  const { io } = deps;
  return withService(deps, service, async (session) => {
    const client = ok(
      'rune',
      `version ${packageVersion()}, protocol ${RCS_VERSION}, Node ${process.versions.node}`,
    );
    const found = [client, ...(await checks(nodes, session))];
    await writeAnswer(io.stdout, session.output, {
      json: () => ({
        checks: found.map(({ name, state, message, error }) => ({
          name,
          state,
          message,
          ...(error === undefined ? {} : { error: EpsError.toJSON(error) }),
        })),
      }),
      pretty: () => lines(found, createStyle(mayColour(io.stdout, io.env))),
    });
    const first = found.find(({ state }) => state === 'fail');
    return first === undefined
      ? EXIT_CODE.SUCCEEDED
      : EXIT_CODE[exitNameOfError(first.error?.errorData?.name ?? '')];
  });
}
