import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactShell } from '../../shared/compact-shell.js';
import { RuneError } from '../../shared/errors.js';
import { packageRoot } from '../../shared/process/package-root.js';
import { USER_NAME, USER_NAME_RULE } from '../../shared/user-name.js';
import { becomeCommand } from './become-command.js';
import { sentLibrary } from './sent-library.js';
import type { NodeCommand } from './transport.js';

const READ_BODY =
  `LOCALE=\${LC_ALL+v$LC_ALL}; LC_ALL=C; IFS= read -r -t 60 -N 14 H || exit 97; ` +
  `case $H in RUNE1:[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]) ;; *) exit 97;; esac; ` +
  `IFS= read -r -N $((10#\${H#*:})) H || exit 97; eval "$H"`;

/**
 * The one command that is ever run on a node: a constant that holds no data. It takes a counted header from stdin, then
 * exactly that many bytes of shell, and only then evaluates them; whatever is out of step ends it with NOT_STARTED_EXIT_CODE.
 * One line without backslash or exclamation mark, so that sh, csh and fish logins read it alike.
 */
export const REMOTE_COMMAND = `exec bash --noprofile --norc -p -c '${READ_BODY}' rune`;

/** REMOTE_COMMAND, or the same as the user that the command asks for: then that user's name is the only thing it holds. */
export function remoteCommand({ runAs }: NodeCommand): string {
  return runAs === undefined ? REMOTE_COMMAND : becomeCommand(runAs, READ_BODY);
}

/** The command for a login of that name, who need not become who they are. */
export function forLogin(command: NodeCommand, login: string): NodeCommand {
  return command.runAs?.user === login ? { ...command, runAs: undefined } : command;
}

/** Exit code of REMOTE_COMMAND when the plugin's code certainly did not begin. */
export const NOT_STARTED_EXIT_CODE = 97;

/** The word that lets the plugin begin: the last bytes of the upload, sent when the node has said `begin`. */
export const GO_LINE = 'go\n';

/** The word that ends the plugin. Any line that is not empty does; an empty one is a heartbeat. */
export const CANCEL_LINE = 'cancel\n';

/** What goes up to the node before GO_LINE, and the two secrets of this run by which its frames are known. */
export interface Upload {
  readonly bytes: Buffer;
  /** Begins every frame of the supervisor. */
  readonly nonce: string;
  /** Begins the one frame of the plugin's own process; the plugin may see it. */
  readonly startToken: string;
}

/**
 * An upload in its parts, in their order: `shared` is the same for all runs that differ by nothing but node and input, `head` and
 * `input` are of one run alone.
 */
export interface UploadParts {
  readonly head: Buffer;
  readonly shared: readonly Buffer[];
  readonly input: Buffer;
  readonly nonce: string;
  readonly startToken: string;
}

const SUPERVISOR = shellOf('supervisor.sh');
/** Reading what is sent costs the node more than anything else of a short run: this part goes where it is asked for. */
const SUPERVISOR_WITH_SCOPE = Buffer.concat([SUPERVISOR, Buffer.from('\n'), shellOf('supervisor-scope.sh')]);
const REST_AT = SUPERVISOR.indexOf('\n: rest\n');

/**
 * Header, body and all that the plugin is made of and reads, as one buffer. Throws INVALID_REQUEST for what a shell cannot carry (a NUL byte)
 * and for a run id that is not made of letters, digits, `-` and `_`.
 */
export function encodeUpload(command: NodeCommand, leaseMs: number): Upload {
  const { head, shared, input, nonce, startToken } = encodeUploadParts(command, leaseMs);
  return { bytes: Buffer.concat([head, ...shared, input]), nonce, startToken };
}

/** The same in its parts. Throws as encodeUpload does. */
export function encodeUploadParts(command: NodeCommand, leaseMs: number): UploadParts {
  checkCommand(command);
  const { requires } = command;
  const supervisor = command.systemdScope ? SUPERVISOR_WITH_SCOPE : SUPERVISOR;
  const { first, rest } = sentLibrary(command.library);
  const files = command.files.map(({ path, bytes }) => `${bytes.length}:${path}`);
  const variables = Object.entries(command.environment).map(([name, value]) => `${name}=${shellWord(value)}`);
  const systems = requires.os.map(({ id, versionMin }) => `${id}:${versionMin}`);
  const nonce = randomBytes(16).toString('hex');
  const startToken = randomBytes(16).toString('hex');
  const variablesOfRun =
    `NONCE=${nonce} TOKEN=${startToken} RUN_ID=${command.runId} DELIVERY=${command.delivery} ` +
    `LEAVES=${command.leavesProcesses ? 'yes' : 'no'} SCOPE=${command.systemdScope ? 'yes' : 'no'} BECOME=${command.runAs === undefined ? 'no' : 'yes'} LIBRARY_BYTES=${first.length} LIBRARY_REST_BYTES=${rest.length} ` +
    `HELPER_BYTES=${command.helpers.length} SCRIPT_BYTES=${command.script.length} ` +
    `FILES=${shellWord(files.join(' '))} INPUT_BYTES=${command.input.length} ` +
    `ARGUMENTS=${shellWord(command.arguments.map(shellWord).join(' '))} ` +
    `ENVIRONMENT=${shellWord(variables.join(' '))} ` +
    `REST_BYTES=${supervisor.length - REST_AT} COMMANDS=${shellWord(requires.commands.join(' '))} OS=${shellWord(systems.join(' '))} ` +
    `LIMIT=${hundredths(command.timeoutMs)} GRACE=${hundredths(command.killGraceMs)} LEASE=${hundredths(leaseMs)} FIRST_LINE=$LINENO\n`;
  const bodyBytes = Buffer.byteLength(variablesOfRun) + supervisor.length;
  return {
    head: Buffer.from(`RUNE1:${String(bodyBytes).padStart(8, '0')}${variablesOfRun}`),
    shared: [
      supervisor,
      first,
      rest,
      command.helpers,
      command.script,
      ...command.files.map(({ bytes }) => bytes),
    ],
    input: command.input,
    nonce,
    startToken,
  };
}

/** Refuses what no node can be given, before any connection is made. Throws INVALID_REQUEST. */
export function checkCommand(command: NodeCommand): void {
  const parts: Readonly<Record<string, readonly (Buffer | string)[]>> = {
    script: [command.script],
    library: [command.library],
    helpers: [command.helpers],
    files: command.files.map(({ bytes }) => bytes),
    arguments: command.arguments,
    environment: Object.values(command.environment),
    input: [command.input],
  };
  for (const [field, texts] of Object.entries(parts)) {
    if (!texts.some((text) => text.includes('\0'))) continue;
    throw new RuneError(
      'INVALID_REQUEST',
      `The plugin's ${field} holds a NUL byte, which no shell can carry.`,
      {
        field,
        node: command.target.name,
        runId: command.runId,
      },
    );
  }
  // A name would be read as shell.
  if (!Object.keys(command.environment).every((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))) {
    throw new RuneError('INVALID_REQUEST', 'A variable of the plugin has a name that no shell can carry.', {
      field: 'environment',
      node: command.target.name,
      runId: command.runId,
    });
  }
  if (!/^[0-9A-Za-z_-]{1,64}$/.test(command.runId)) {
    throw new RuneError('INVALID_REQUEST', 'The run id must be 1 to 64 letters, digits, "-" or "_".', {
      field: 'run_id',
      node: command.target.name,
    });
  }
  if (command.runAs !== undefined && !USER_NAME.test(command.runAs.user)) {
    throw new RuneError('INVALID_REQUEST', `The user to run as ${USER_NAME_RULE}.`, {
      field: 'run_as.user',
      node: command.target.name,
      runId: command.runId,
    });
  }
}

function shellOf(name: string): Buffer {
  return Buffer.from(compactShell(readFileSync(join(packageRoot, 'services/lmm/transports', name), 'utf8')));
}

/** One word of a Bash command on one line, whatever the text holds. */
function shellWord(text: string): string {
  if (/^[A-Za-z0-9_./:=@%+,-]+$/.test(text)) return text;
  return `$'${text.replace(/[\\']/g, '\\$&').replace(/\n/g, '\\n')}'`;
}

/** Rounded up, so that a limit never ends before its time. */
function hundredths(ms: number): number {
  return Math.max(1, Math.ceil(ms / 10));
}
