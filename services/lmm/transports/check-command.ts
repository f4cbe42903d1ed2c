import { RuneError } from '../../shared/errors.js';
import { USER_NAME, USER_NAME_RULE } from '../../shared/user-name.js';
import type { NodeCommand } from './transport.js';

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
