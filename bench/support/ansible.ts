import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestSshd } from '../../test/support/sshd.js';
import { runProgram } from './run-program.js';

/**
 * Prepares `ansible all -m script` at its fastest: pipelining, master connections that stay, a fork for each address. Resolves
 * with the function that runs it once. The master connections end with the sshd.
 */
export async function prepareAnsible(
  directory: string,
  sshd: TestSshd,
  addresses: readonly string[] = [sshd.host],
): Promise<() => Promise<void>> {
  const user = sshd.users.unprivileged;
  const home = join(directory, 'ansible');
  await mkdir(home);
  const write = async (name: string, lines: readonly string[]): Promise<string> => {
    const path = join(home, name);
    await writeFile(path, `${lines.join('\n')}\n`);
    return path;
  };
  const config = await write('ansible.cfg', [
    '[defaults]',
    'host_key_checking = False',
    '[ssh_connection]',
    'pipelining = True',
    'ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null',
    `control_path_dir = ${join(home, 'cp')}`,
  ]);
  const login = `ansible_port=${sshd.port} ansible_user=${user} ansible_ssh_private_key_file=${sshd.userKeyPath}`;
  const inventory = await write(
    'hosts',
    addresses.map((address) => `${address} ${login}`),
  );
  const script = await write('noop.sh', ['#!/bin/bash', "echo '{}'"]);
  await chmod(script, 0o755);
  const env = { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8', ANSIBLE_CONFIG: config };
  return async () => {
    const args = ['-i', inventory, 'all', '-f', String(addresses.length), '-m', 'script', '-a', script];
    const answer = await runProgram({ file: 'ansible', args, env });
    const successes = answer.split('"rc": 0').length - 1;
    if (successes !== addresses.length) throw new Error(`ansible answered ${answer}`);
  };
}
