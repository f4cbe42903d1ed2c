import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { toEps } from '../../shared/eps.js';
import { EpsError } from '../../shared/gen/rune/v1/eps.js';
import { RCS_VERSION } from '../../shared/header.js';
import { packageVersion } from '../../shared/package-version.js';
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

/** One line of the check list. `warn` is worth a look and fails nothing; `skip` could not be tried. */
interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail' | 'skip';
  readonly message: string;
  readonly details: readonly string[];
  readonly error?: EpsError;
}

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

/** The check, or its failure. An interrupt is no finding and goes on. */
async function attempt(name: string, check: () => Promise<Check>): Promise<Check> {
  try {
    return await check();
  } catch (thrown) {
    const error = RuneError.from(thrown);
    if (error.name === 'CALL_CANCELLED') throw error;
    return failed(name, toEps(error, { source: 'rune' }));
  }
}

const counted = (count: number, word: string) => (count === 1 ? `1 ${word}` : `${count} ${word}s`);

async function countOf(items: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of items) count += 1;
  return count;
}

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
  const names = ['health', 'actions', 'nodes', ...nodes.map((node) => `node ${node}`)];
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
    await attempt('actions', async () =>
      loaded(
        'actions',
        await countOf(allActions(client, call)),
        'action',
        'Set LOM_PLUGINS to the directories of plugin bundles.',
      ),
    ),
    await attempt('nodes', async () =>
      loaded(
        'nodes',
        await countOf(allNodes(client, call)),
        'node',
        'Set LOM_INVENTORY to the inventory files.',
      ),
    ),
  );
  for (const node of nodes) {
    const name = escapeText(`node ${node}`);
    found.push(
      await attempt(name, async () => {
        const { probe } = await client.getNode({ name: node, probe: true }, call);
        if (probe?.error !== undefined) return failed(name, probe.error);
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
