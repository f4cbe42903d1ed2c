import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestSshd } from '../../test/support/sshd.js';
import { runProgram } from './run-program.js';

/**
 * Prepares `ansible HOST -m script` at its fastest: pipelining and a master connection that stays. Resolves with the function
 * that runs it once. The master connection ends with the sshd.
 */
export async function prepareAnsible(
  directory: string,
  sshd: TestSshd,
  user: string,
): Promise<() => Promise<void>> {
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
  const inventory = await write('hosts', [
    `node ansible_host=${sshd.host} ansible_port=${sshd.port} ansible_user=${user} ansible_ssh_private_key_file=${sshd.userKeyPath}`,
  ]);
  const script = await write('noop.sh', ['#!/bin/bash', "echo '{}'"]);
  await chmod(script, 0o755);
  const env = { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8', ANSIBLE_CONFIG: config };
  return async () => {
    const args = ['-i', inventory, 'node', '-m', 'script', '-a', script];
    const answer = await runProgram({ file: 'ansible', args, env });
    if (!answer.includes('"rc": 0')) throw new Error(`ansible answered ${answer}`);
  };
}
