import { integerSetting, textSetting } from '../../../shared/settings/settings.js';

/** What the transport openssh has of its own, as settings of the mediator; all other limits are those of `ssh`. */
export const OPENSSH_SETTINGS = {
  opensshProgram: textSetting({
    name: 'openssh.program',
    default: 'ssh',
    doc: 'The ssh of OpenSSH, at least 7.6, by path or by name; where there is none, the transport `openssh` is not offered.',
  }),
  opensshConfigFile: textSetting({
    name: 'openssh.config_file',
    doc: 'An ssh_config file for the connections of this transport; without it none is read.',
  }),
  opensshConnectionsMax: integerSetting({
    name: 'openssh.connections_max',
    default: 256,
    min: 1,
    max: 10_000,
    doc: 'Connections of this transport in all; each is a process, and so is each run.',
  }),
} as const;
