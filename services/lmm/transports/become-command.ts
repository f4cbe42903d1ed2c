import type { RunAs } from './transport.js';

/** Exit code of the remote command when the node has no such program as `become` names. */
export const BECOME_MISSING_EXIT_CODE = 96;
/** Exit code of the remote command when sudo, asked again, says that the login may not run bash as that user. */
export const BECOME_DENIED_EXIT_CODE = 98;

/**
 * Runs in a bash of the login, with sudo or doas, the user and READ_BODY as its arguments. System directories come first in
 * PATH where neither sudo nor doas sets one, and what belongs to the login's own session stays behind. LANGUAGE keeps the words
 * of a refusal English and leaves the locale as it is. The pipes of the outputs are the login's: without the right to write,
 * another user could not open /dev/stdout; only who may trace a process finds its way to them. sudo asks everyone whom it
 * refuses for a password first, so what it would say is asked with -l. It stays, because after exec nobody could ask; it gives its
 * process id on as the one that leads the session.
 */
const BECOME = [
  'export LANGUAGE=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH',
  `type -P $1 >/dev/null || exit ${BECOME_MISSING_EXIT_CODE}`,
  'unset SHELL TMPDIR XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS',
  'chmod a+w /dev/fd/3 /dev/fd/4 3>&1 4>&2 >/dev/null 2>&1',
  'cd /',
  'H=-H',
  '[ $1 = sudo ] || H=',
  '$1 -n $H -u $2 -- bash --noprofile --norc -p -c "$3" rune $$',
  'S=$?',
  'case $1$S in ' +
    `sudo1) L=$(sudo -n -l -u $2 -- bash 2>&1 </dev/null) || [ -n "$L" ] || exit ${BECOME_DENIED_EXIT_CODE};; esac`,
  'exit $S',
].join('; ');

/**
 * The remote command that evaluates `readBody` in a bash of another user. The user is a USER_NAME; neither text holds a quote,
 * a backslash, an exclamation mark or a newline, so that sh, csh and fish logins read the line alike.
 */
export function becomeCommand({ become, user }: RunAs, readBody: string): string {
  return `exec bash --noprofile --norc -p -c '${BECOME}' rune ${become} ${user} '${readBody}'`;
}
