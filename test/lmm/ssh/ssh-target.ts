import type { SshTarget } from '../../../services/lmm/transports/ssh/ssh-target.js';

/** A credential that offers nothing. */
export const CREDENTIAL: SshTarget['credential'] = {
  name: 'default',
  version: 1,
  user: undefined,
  keys: [],
  agent: undefined,
  password: undefined,
  client: undefined,
  certificates: [],
  gssapi: false,
};

/** A node at an address that nobody has. */
export const TARGET: SshTarget = {
  node: 'web01',
  address: '192.0.2.1',
  port: 22,
  user: 'deploy',
  pins: [],
  weakAlgorithms: false,
  hostKeyAlias: undefined,
  via: undefined,
  credential: CREDENTIAL,
};
