import { RuneError } from '../../shared/errors.js';
import type { NodeTarget } from '../../shared/gen/rune/v1/lmm.js';
import { refuseField } from '../refuse-field.js';
import type { Transport } from '../transports/transport.js';

const PORT_MAX = 65_535;
/** Hosts on the way to a node. */
const HOPS_MAX = 8;
/** How a mediator comes to offer a transport that it does not. */
const REMEDIES: Readonly<Record<string, string>> = {
  local: ': set local_enabled: true in its configuration',
  ssm: ': set ssm.enabled: true in its configuration',
  openssh: ': install the ssh of OpenSSH there, or name it as openssh.program in its configuration',
};

/** The target of a request and the transport to it. Throws FIELD_MALFORMED and TRANSPORT_NOT_AVAILABLE. */
export function readTarget(
  target: NodeTarget | undefined,
  transports: ReadonlyMap<string, Transport>,
): { target: NodeTarget; transport: Transport } {
  if (target === undefined || target.name === '')
    return refuseField('target.name', 'The target has no name.', 'the name of a node');
  if (target.port > PORT_MAX) refuseField('target.port', 'The target has no such port.', `0 to ${PORT_MAX}`);
  if (target.jump.length > HOPS_MAX)
    refuseField('target.jump', 'The way to the target is too long.', `at most ${HOPS_MAX} hosts`);
  for (const [index, hop] of target.jump.entries()) {
    if (hop.name === '' || hop.address === '' || hop.port > PORT_MAX)
      refuseField(
        `target.jump[${index}]`,
        'A host on the way is incomplete.',
        'a name, an address and a port',
      );
  }
  const transport = transports.get(target.transport);
  if (transport === undefined) {
    const remedy = REMEDIES[target.transport] ?? '';
    throw new RuneError(
      'TRANSPORT_NOT_AVAILABLE',
      `This mediator does not offer the transport "${target.transport}"${remedy}.`,
      {
        node: target.name,
        field: 'start.target.transport',
        originalValue: target.transport,
        expectedFormat: [...transports.keys()].join(', '),
      },
    );
  }
  return { target, transport };
}
