import type { Plugin } from '../../shared/gen/rune/v1/lmm.js';
import { PluginProtocol as Protocol } from '../../shared/gen/rune/v1/mrs.js';
import { refuseField } from '../refuse-field.js';
import { BOLT } from './bolt.js';
import { BPCS } from './bpcs.js';
import { NAGIOS } from './nagios.js';
import type { PluginProtocol } from './plugin-protocol.js';
import { RAW } from './raw.js';

const PROTOCOLS: Readonly<Partial<Record<Protocol, PluginProtocol>>> = {
  [Protocol.UNSPECIFIED]: BPCS,
  [Protocol.BPCS]: BPCS,
  [Protocol.RAW]: RAW,
  [Protocol.NAGIOS]: NAGIOS,
  [Protocol.BOLT]: BOLT,
};

/** The protocol that a plugin speaks. Throws FIELD_MALFORMED for one that this mediator does not know. */
export function protocolOf(plugin: Plugin | undefined): PluginProtocol {
  return (
    PROTOCOLS[plugin?.protocol ?? Protocol.UNSPECIFIED] ??
    refuseField(
      'plugin.protocol',
      'This mediator does not know the protocol of the plugin.',
      'BPCS, RAW, NAGIOS, BOLT',
    )
  );
}
