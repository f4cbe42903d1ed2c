import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactShell } from '../../shared/compact-shell.js';
import { packageRoot } from '../../shared/process/package-root.js';
import { checkCommand } from './check-command.js';
import { NO_LIBRARY, sentLibrary, SHIPPED_LIBRARY, type SentLibrary } from './sent-library.js';
import type { NodeCommand } from './transport.js';

/** The two secrets of a run by which its frames are known. */
export interface RunSecrets {
  /** Begins every frame of the supervisor. */
  readonly nonce: string;
  /** Begins the one frame of the plugin's own process; the plugin may see it. */
  readonly startToken: string;
}

/** What goes up to the node before GO_LINE. */
export interface Upload extends RunSecrets {
  readonly bytes: Buffer;
}

/**
 * An upload in its parts, in their order: `shared` is the same for all runs that differ by nothing but node and input, `head` and
 * `input` are of one run alone.
 */
export interface UploadParts extends RunSecrets {
  readonly head: Buffer;
  readonly shared: readonly Buffer[];
  readonly input: Buffer;
}

const SUPERVISOR = shellOf('supervisor.sh');
/** Reading what is sent costs the node more than anything else of a short run: these parts go where they are asked for. */
const SUPERVISOR_WITH_SCOPE = supervisorWith('supervisor-scope.sh');
const SUPERVISOR_OF_SPARE = supervisorWith('supervisor-spare.sh');
const REST_AT = SUPERVISOR.indexOf('\n: rest\n');

/**
 * Header, body and all that the plugin is made of and reads, as one buffer. Throws INVALID_REQUEST for what a shell cannot carry (a NUL byte)
 * and for a run id that is not made of letters, digits, `-` and `_`.
 */
export function encodeUpload(command: NodeCommand, leaseMs: number): Upload {
  const { head, shared, input, ...secrets } = encodeUploadParts(command, leaseMs);
  return { bytes: Buffer.concat([head, ...shared, input]), ...secrets };
}

/** The same in its parts. Throws as encodeUpload does. */
export function encodeUploadParts(command: NodeCommand, leaseMs: number): UploadParts {
  checkCommand(command);
  const { delivery, systemdScope, runAs } = command;
  const supervisor = systemdScope ? SUPERVISOR_WITH_SCOPE : SUPERVISOR;
  const library = sentLibrary(command.library);
  const secrets = newSecrets();
  const ofShell = variablesOfShell(secrets, supervisor, library, { delivery, systemdScope, runAs });
  const variables = Buffer.from(`${ofShell} ${variablesOfRun(command, leaseMs)}\n`);
  return {
    head: Buffer.concat([headerOf(variables.length + supervisor.length), variables]),
    shared: [
      supervisor,
      library.first,
      library.rest,
      command.helpers,
      command.script,
      ...command.files.map(({ bytes }) => bytes),
    ],
    input: command.input,
    ...secrets,
  };
}

/** The library of a spare shell that can serve this run, one object for the same library; undefined if none can. */
export function libraryOfSpare({
  delivery,
  systemdScope,
  runAs,
  library,
}: NodeCommand): SentLibrary | undefined {
  if (delivery !== 'stream' || systemdScope || runAs !== undefined) return undefined;
  const sent = sentLibrary(library);
  return sent === SHIPPED_LIBRARY || sent === NO_LIBRARY ? sent : undefined;
}

/**
 * The first part of an upload, of a run that is not known yet: the supervisor and the library. The shell waits so long for the
 * second part, and ends without one.
 */
export function encodeSpareShell(library: SentLibrary, waitMs: number): Upload {
  const secrets = newSecrets();
  const ofShell = variablesOfShell(secrets, SUPERVISOR_OF_SPARE, library, { delivery: 'stream' });
  const variables = Buffer.from(`${ofShell} RUN_ID= COMMANDS= OS= IDLE=${hundredths(waitMs)}\n`);
  const header = headerOf(variables.length + SUPERVISOR_OF_SPARE.length);
  const parts = [header, variables, SUPERVISOR_OF_SPARE, library.first, library.rest];
  return { bytes: Buffer.concat(parts), ...secrets };
}

/** The second part, of a run that it can serve. Throws as encodeUpload does. */
export function encodeForSpareShell(command: NodeCommand, leaseMs: number): Buffer {
  checkCommand(command);
  const variables = Buffer.from(`${variablesOfRun(command, leaseMs)}\n`);
  return Buffer.concat([
    headerOf(variables.length),
    variables,
    command.helpers,
    command.script,
    command.input,
  ]);
}

function newSecrets(): RunSecrets {
  return { nonce: randomBytes(16).toString('hex'), startToken: randomBytes(16).toString('hex') };
}

function headerOf(bodyBytes: number): Buffer {
  return Buffer.from(`RUNE1:${String(bodyBytes).padStart(8, '0')}`);
}

function variablesOfShell(
  { nonce, startToken }: RunSecrets,
  supervisor: Buffer,
  library: SentLibrary,
  { delivery, systemdScope, runAs }: Pick<NodeCommand, 'delivery'> & Partial<NodeCommand>,
): string {
  return (
    `FIRST_LINE=$LINENO NONCE=${nonce} TOKEN=${startToken} DELIVERY=${delivery} SCOPE=${yesOrNo(systemdScope === true)} ` +
    `BECOME=${yesOrNo(runAs !== undefined)} LIBRARY_BYTES=${library.first.length} LIBRARY_REST_BYTES=${library.rest.length} ` +
    `REST_BYTES=${supervisor.length - REST_AT}`
  );
}

function variablesOfRun(command: NodeCommand, leaseMs: number): string {
  const { requires } = command;
  const files = command.files.map(({ path, bytes }) => `${bytes.length}:${path}`);
  const variables = Object.entries(command.environment).map(([name, value]) => `${name}=${shellWord(value)}`);
  const systems = requires.os.map(({ id, versionMin }) => `${id}:${versionMin}`);
  return (
    `RUN_ID=${command.runId} LEAVES=${yesOrNo(command.leavesProcesses)} HELPER_BYTES=${command.helpers.length} ` +
    `SCRIPT_BYTES=${command.script.length} FILES=${shellWord(files.join(' '))} INPUT_BYTES=${command.input.length} ` +
    `ARGUMENTS=${shellWord(command.arguments.map(shellWord).join(' '))} ` +
    `ENVIRONMENT=${shellWord(variables.join(' '))} ` +
    `COMMANDS=${shellWord(requires.commands.join(' '))} OS=${shellWord(systems.join(' '))} ` +
    `LIMIT=${hundredths(command.timeoutMs)} GRACE=${hundredths(command.killGraceMs)} LEASE=${hundredths(leaseMs)}`
  );
}

function supervisorWith(name: string): Buffer {
  return Buffer.concat([SUPERVISOR, Buffer.from('\n'), shellOf(name)]);
}

const yesOrNo = (is: boolean): string => (is ? 'yes' : 'no');

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
