import { becomeCommand } from './become-command.js';
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
