import type { Command } from 'commander';
import { EXIT_CODE } from '../../shared/errors.js';
import { allActions, allExecutions, allModules, allNodes } from '../catalogue/pages.js';
import { loadConfig } from '../config/load-config.js';
import { resolveConnection } from '../config/resolve-connection.js';
import type { LomClient } from '../client.js';
import { connect, type Deps } from '../connect.js';
import { UNFINISHED_STATES } from '../executions/state-words.js';
import { type Catalogue, candidates } from './candidates.js';
import { FILES_MARK } from './script.js';

/** A person waits at the prompt, so a service that does not answer at once is left out. */
const CALL_TIMEOUT_MS = 1_000;
/** More would not help anybody who pressed the tab key. */
const NAMES_MAX = 2_000;
/** Ids tell a person nothing, so that only the newest help. */
const EXECUTIONS_MAX = 50;
/** Names that are safe to hand to a shell's completion. */
const SAFE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

async function namesOf(items: AsyncIterable<string>, namesMax: number): Promise<string[]> {
  const names: string[] = [];
  for await (const name of items) {
    if (names.length >= namesMax) break;
    if (SAFE_NAME.test(name)) names.push(name);
  }
  return names;
}

async function withClient(deps: Deps, use: (client: LomClient) => Promise<string[]>): Promise<string[]> {
  const config = await loadConfig(deps.io.env);
  const client = connect(deps, resolveConnection({ flags: {}, env: deps.io.env, config }));
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

async function* named<T>(items: AsyncIterable<T>, name: (item: T) => string): AsyncGenerator<string> {
  for await (const item of items) yield name(item);
}

/** The names that the service knows; none when it cannot be asked, for a prompt is no place for errors. */
function catalogueOf(deps: Deps): Catalogue {
  const call = { timeoutMs: CALL_TIMEOUT_MS };
  const ask = (names: (client: LomClient) => AsyncIterable<string>, namesMax = NAMES_MAX) =>
    withClient(deps, (client) => namesOf(names(client), namesMax)).catch(() => []);
  return {
    actions: () => ask((client) => named(allActions(client, call), ({ action }) => action)),
    nodes: () => ask((client) => named(allNodes(client, call), ({ name }) => name)),
    modules: () =>
      ask((client) =>
        named(allModules(client, call), ({ registration }) => registration?.moduleIdentity?.moduleName ?? ''),
      ),
    executions(which) {
      const filter = { states: which === 'unfinished' ? [...UNFINISHED_STATES] : [] };
      return ask(
        (client) =>
          named(allExecutions(client, call, filter, EXECUTIONS_MAX), ({ executionId }) => executionId),
        EXECUTIONS_MAX,
      );
    },
  };
}

/** The hidden command behind completion: candidates for the last word, one a line. */
export async function completeCommand(
  program: Command,
  words: readonly string[],
  deps: Deps,
): Promise<number> {
  const found = await candidates(program, words, catalogueOf(deps));
  const lines = [...(found.files ? [FILES_MARK] : []), ...found.words];
  await deps.io.stdout.write(lines.map((line) => `${line}\n`).join(''));
  return EXIT_CODE.SUCCEEDED;
}
