import { createHash } from 'node:crypto';
import { nodeShell } from './node-shell.js';

/** What a command is for: a run, the runs of a group of which each node picks its own, or a look at how a run ended. */
export type ScriptKind = 'run' | 'group' | 'look';

/**
 * What a node does: one of the programs of this folder, and the lines that it reads. In lines there is nothing that a shell, the
 * service or a document would replace, and no comma.
 */
export interface NodeScript {
  readonly kind: ScriptKind;
  readonly lines: readonly string[];
}

/** What a document takes: `commands`, which may be any script, or `typed`, which is data for the programs that it holds itself. */
export type DocumentForm = 'commands' | 'typed';

const ON_NODE = nodeShell('on-node.sh');
const PICK_MEMBER = nodeShell('pick-member.sh');
const LOOK = nodeShell('look.sh');
/** Of a document's own script: which program reads the data. $1, $2 and $3 are the three of them. */
const CHOOSE = [
  'exec < <(tr , "\\n")',
  'IFS= read -r KIND',
  'case $KIND in run) eval "$1" ;; group) eval "$2" ;; look) eval "$3" ;; esac',
].join('\n');
/** The programs of a document's own script, the first of which chooses among the others. */
export const DOCUMENT_PROGRAMS: readonly string[] = [CHOOSE, ON_NODE, PICK_MEMBER, LOOK];
const PROGRAMS: Readonly<Record<ScriptKind, readonly string[]>> = {
  run: [ON_NODE],
  group: [PICK_MEMBER, ON_NODE],
  look: [LOOK],
};

/** A script in which the first program reads lines, and has the others as its arguments. None holds a single quote. */
export function shellText(programs: readonly string[], lines: readonly string[]): string {
  const [first, ...others] = programs.map((program) => `'${program}'`);
  return [
    '#!/bin/sh',
    `command -v bash >/dev/null 2>&1 || { echo 'RUNE-SSM - unable bash'; exit 0; }`,
    `bash --noprofile --norc -p -c ${[first, '"$0"', ...others].join(' ')} <<'RUNE'`,
    ...lines,
    'RUNE',
    'exit 0',
  ].join('\n');
}

/** Names the programs that a document holds, so that none is used by a mediator that has others. */
export const DOCUMENT_FORM = createHash('sha256')
  .update(DOCUMENT_PROGRAMS.join('\0'))
  .digest('hex')
  .slice(0, 16);

/** The parameters of a command of such a document, but for its time. */
export function scriptParameters({ kind, lines }: NodeScript, form: DocumentForm): Record<string, string[]> {
  return form === 'typed'
    ? { form: [DOCUMENT_FORM], kind: [kind], data: [lines.join(',')] }
    : { commands: shellText(PROGRAMS[kind], lines).split('\n') };
}

/** The lines that a listed command was given, with a newline before each; and more, if it has a whole script. */
export function linesGiven(parameters: Readonly<Record<string, readonly string[]>>): string {
  const { commands = [], data: [data] = [] } = parameters;
  return data === undefined ? commands.join('\n') : `\n${data.replaceAll(',', '\n')}`;
}

/** How many characters a command of such a document takes for a script. */
export function sizeOf(script: NodeScript, form: DocumentForm): number {
  const given = Object.values(scriptParameters(script, form)).flat();
  return given.reduce((sum, text) => sum + text.length + 1, 0);
}
