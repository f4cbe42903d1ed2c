import { PluginProtocol, type Requirements } from '../../shared/gen/rune/v1/mrs.js';

/** The protocol of a plugin in a few words. */
export function protocolWords(protocol: PluginProtocol): string {
  switch (protocol) {
    case PluginProtocol.RAW:
      return 'raw: any program, whose output is the result';
    case PluginProtocol.NAGIOS:
      return 'nagios: a monitoring plugin';
    case PluginProtocol.BOLT:
      return 'bolt: a Puppet Bolt task';
    case PluginProtocol.UNSPECIFIED:
    case PluginProtocol.BPCS:
      return 'bpcs';
    default:
      return 'one that this release does not know';
  }
}

/** What a node must have for the action, each requirement as one text; empty if nothing. */
export function requirementWords(requires: Requirements | undefined): string[] {
  const { commands, os } = requires ?? { commands: [], os: [] };
  const systems = os.map(({ id, versionMin }) => (versionMin === '' ? id : `${id} ${versionMin} or newer`));
  return [...commands, ...(systems.length === 0 ? [] : [systems.join(', or ')])];
}
