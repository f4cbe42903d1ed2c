import type { RunAs as RunAsMessage } from '../../shared/gen/rune/v1/run.js';
import { USER_NAME, USER_NAME_RULE } from '../../shared/user-name.js';
import { refuseField } from '../refuse-field.js';
import type { RunAs } from '../transports/transport.js';

/** The run-as user of a request. Throws FIELD_MALFORMED: the name becomes part of a command line. */
export function readRunAs(asked: RunAsMessage | undefined): RunAs | undefined {
  if (asked === undefined) return undefined;
  const { user, become } = asked;
  if (!USER_NAME.test(user))
    refuseField('run_as.user', `The user to run as ${USER_NAME_RULE}.`, 'a login name');
  if (become !== '' && become !== 'sudo' && become !== 'doas')
    return refuseField('run_as.become', 'The way to become another user is not known.', 'sudo, doas');
  return { user, become: become === '' ? 'sudo' : become };
}
