import type { Command, Option } from 'commander';

/** Names that only the service knows. */
export interface Catalogue {
  actions(): Promise<readonly string[]>;
  nodes(): Promise<readonly string[]>;
  modules(): Promise<readonly string[]>;
  /** Ids of the newest executions, or of those that have not ended. */
  executions(which: 'newest' | 'unfinished'): Promise<readonly string[]>;
}

/** What the shell can offer for the word under the cursor. */
export interface Candidates {
  readonly words: readonly string[];
  /** Offer file names too. */
  readonly files: boolean;
}

const NONE: Candidates = { words: [], files: false };
const FILE_FLAGS = new Set([
  '--params-file',
  '--save',
  '--plugins',
  '--inventory',
  '--lmm-config',
  '--directory',
]);
/** Commands whose operand is a directory. */
const FILE_COMMANDS = new Set(['modules register', 'plugin lint', 'plugin test', 'plugin run']);
const ACTION_FLAGS = new Set(['--action']);
const NODE_FLAGS = new Set(['--node', '--exclude']);

const visible = (command: Command) => command.commands.filter((one) => !one.name().startsWith('_'));
const optionOf = (command: Command, word: string): Option | undefined =>
  command.options.find(({ long, short }) => long === word || short === word);
const takesValue = (option: Option | undefined) =>
  option !== undefined && (option.required || option.optional);

/** The command that the words lead to, and how many words that are no flags follow it. */
function descend(
  program: Command,
  words: readonly string[],
): { command: Command; path: string[]; operands: number } {
  let command = program;
  let operands = 0;
  const path: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word.startsWith('-')) {
      if (takesValue(optionOf(command, word))) at += 1;
      continue;
    }
    const next = operands === 0 ? visible(command).find((one) => one.name() === word) : undefined;
    if (next === undefined) operands += 1;
    else {
      command = next;
      path.push(word);
    }
  }
  return { command, path, operands };
}

async function valuesOf(option: Option, current: string, catalogue: Catalogue): Promise<Candidates> {
  const flag = option.long ?? '';
  if (option.argChoices !== undefined) return { words: option.argChoices, files: false };
  if (FILE_FLAGS.has(flag)) return { words: [], files: true };
  if (ACTION_FLAGS.has(flag)) return { words: await catalogue.actions(), files: false };
  if (!NODE_FLAGS.has(flag)) return NONE;
  // Names may be joined by commas: what stands before the last one stays.
  const joined = current.slice(0, current.lastIndexOf(',') + 1);
  return { words: (await catalogue.nodes()).map((name) => joined + name), files: false };
}

async function operandsOf(path: string, program: Command, catalogue: Catalogue): Promise<readonly string[]> {
  switch (path) {
    case 'run':
    case 'actions show':
      return catalogue.actions();
    case 'nodes show':
    case 'nodes trust':
      return catalogue.nodes();
    case 'modules show':
    case 'modules deregister':
      return catalogue.modules();
    case 'executions show':
    case 'executions watch':
    case 'executions rerun':
      return catalogue.executions('newest');
    case 'executions cancel':
      return catalogue.executions('unfinished');
    case 'completion':
      return ['bash', 'zsh'];
    case 'help':
      return [...visible(program).map((one) => one.name()), 'exit-codes'];
    default:
      return [];
  }
}

/**
 * What can stand for the last of `words`, the line after `rune` up to the cursor. Commands and flags come from the program
 * itself; names of actions and nodes from the service, and none if it does not answer.
 */
export async function candidates(
  program: Command,
  words: readonly string[],
  catalogue: Catalogue,
): Promise<Candidates> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  const { command, path, operands } = descend(program, before);
  const pending = optionOf(command, before.at(-1) ?? '');
  const found =
    pending !== undefined && takesValue(pending)
      ? await valuesOf(pending, current, catalogue)
      : current.startsWith('-')
        ? { words: [...command.options.flatMap(({ long }) => long ?? []), '--help'], files: false }
        : operands > 0
          ? NONE
          : {
              words: [
                ...visible(command).map((one) => one.name()),
                ...(await operandsOf(path.join(' '), program, catalogue)),
              ],
              files: FILE_COMMANDS.has(path.join(' ')),
            };
  return { words: [...new Set(found.words)].filter((word) => word.startsWith(current)), files: found.files };
}
