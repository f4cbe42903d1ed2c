import { RuneError, type ErrorName } from '../../shared/errors.js';
import { BECOME_DENIED_EXIT_CODE, BECOME_MISSING_EXIT_CODE } from './become-command.js';
import type { ChannelEnd } from './channel.js';
import type { NodeCommand } from './transport.js';

/** With which sudo, sudo-rs and doas end when they run nothing. */
const REFUSED_EXIT_CODE = 1;

interface Refusal {
  /** What sudo, sudo-rs or doas print in English. */
  readonly words: RegExp;
  readonly name: ErrorName;
  readonly reason: (become: string, asUser: string) => string;
}

/** The first one whose words were printed is it. */
const REFUSALS: readonly Refusal[] = [
  {
    words:
      /sudo: .*(password is required|authentication is required|terminal is required|no askpass program)|doas: (Authentication|Authorization) required/,
    name: 'BECOME_PASSWORD_REQUIRED',
    reason: (become, asUser) => `${become} asks the login for a password before it runs bash ${asUser}`,
  },
  {
    words: /sudo: .*must have a tty/,
    name: 'BECOME_DENIED',
    reason: (become, asUser) => `${become} runs bash ${asUser} only from a terminal (requiretty)`,
  },
  {
    words:
      /(Sorry, user|User) \S+ (is not allowed to|may not run) |\S+ is not (in the sudoers file|allowed to run sudo)|sudo: .*(I'm afraid I can't do that|account)|doas: Operation not permitted/i,
    name: 'BECOME_DENIED',
    reason: (become, asUser) => `${become} does not let the login run bash ${asUser}`,
  },
  {
    words: /(sudo|doas): unknown user|sudo: user '[^']*' not found/,
    name: 'BECOME_UNAVAILABLE',
    reason: (become, asUser) => `${become} cannot run bash ${asUser}: there is no such user`,
  },
  {
    words:
      /sudo: .*(setuid bit|no new privileges|effective uid is not 0|sudoers)|doas: .*(not enabled|not installed setuid|doas\.conf)/i,
    name: 'BECOME_UNAVAILABLE',
    reason: (become) => `${become} does not work there`,
  },
];

/**
 * BECOME_UNAVAILABLE, BECOME_DENIED or BECOME_PASSWORD_REQUIRED if that is why the channel of a command with a run-as user ended
 * before anything began, by what was `printed` there; undefined if it is not. What a node prints may be forged: it decides
 * only which error it is.
 */
export function becomeError(command: NodeCommand, end: ChannelEnd, printed: string): RuneError | undefined {
  const { runAs, target, runId } = command;
  if (runAs === undefined || end.kind !== 'exited') return undefined;
  const { become, user } = runAs;
  const asUser = `as ${user}`;
  const make = (name: ErrorName, reason: string): RuneError =>
    new RuneError(name, `Nothing ran on ${target.name}: ${reason}.`, {
      node: target.name,
      runId,
      reason,
      stderrTail: printed,
    });
  if (end.exitCode === BECOME_MISSING_EXIT_CODE)
    return make('BECOME_UNAVAILABLE', `${become} is not installed there`);
  if (end.exitCode === BECOME_DENIED_EXIT_CODE)
    return make('BECOME_DENIED', `${become} does not let the login run bash ${asUser}`);
  if (end.exitCode !== REFUSED_EXIT_CODE) return undefined;
  const refusal = REFUSALS.find(({ words }) => words.test(printed));
  return refusal && make(refusal.name, refusal.reason(become, asUser));
}
