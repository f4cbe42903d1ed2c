import type { SshdOptions } from './sshd.js';

const ADDRESSES_MAX = 250;

/** So many addresses of this machine, 127.0.NET.1 and so on; an sshd that listens on every address is a node at each of them. */
export function fleetAddresses(count: number, net: number): string[] {
  if (count > ADDRESSES_MAX) throw new Error(`A fleet has at most ${ADDRESSES_MAX} addresses.`);
  return Array.from({ length: count }, (_, index) => `127.0.${net}.${index + 1}`);
}

/** An sshd that is a whole fleet, with logins that do nothing of their own. */
export const FLEET_SSHD: SshdOptions = {
  everyAddress: true,
  maxStartups: '1000:30:2000',
  loginFiles: { '.bashrc': '' },
  extraConfig: ['Subsystem sftp internal-sftp'],
};
