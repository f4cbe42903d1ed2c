import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestSshd } from '../../test/support/sshd.js';
import { requirePackage } from './debian-package.js';
import { runProgram, type Program } from './run-program.js';

/** A program of others that runs a command on many nodes at once over the system's ssh. */
export interface ParallelShell {
  readonly name: string;
  /** Runs `echo {}` once on each node, over new connections. */
  readonly run: () => Promise<void>;
}

/** Those of parallel-ssh, clush and pdsh that can be had, each with one process for each address, and what is missing. */
export async function prepareParallelShells(
  directory: string,
  sshd: TestSshd,
  addresses: readonly string[],
  say: (text: string) => void,
): Promise<{ shells: ParallelShell[]; missing: string[] }> {
  const user = sshd.users.unprivileged;
  const knownHosts = join(directory, 'fleet_known_hosts');
  await writeFile(knownHosts, sshd.hostKeys.map(({ publicKey }) => `* ${publicKey}\n`).join(''));
  const hosts = join(directory, 'fleet_hosts');
  await writeFile(hosts, addresses.map((address) => `${user}@${address}:${sshd.port}\n`).join(''));
  const options = ['-F', 'none', '-i', sshd.userKeyPath, '-o', `UserKnownHostsFile=${knownHosts}`].join(' ');
  const width = String(addresses.length);
  const list = addresses.join(',');
  const env = { PATH: process.env.PATH, HOME: directory, LANG: 'C.UTF-8' };
  const programs: (Program & { packageName: string })[] = [
    {
      packageName: 'pssh',
      file: 'parallel-ssh',
      args: ['-h', hosts, '-p', width, '-t', '60', '-x', options, '-i', 'echo {}'],
      env,
    },
    {
      packageName: 'clustershell',
      file: 'clush',
      args: ['-f', width, '-l', user, '-o', `${options} -p ${sshd.port}`, '-w', list, 'echo {}'],
      env,
    },
    {
      packageName: 'pdsh',
      file: 'pdsh',
      args: ['-R', 'ssh', '-f', width, '-l', user, '-w', list, 'echo {}'],
      env: { ...env, PDSH_SSH_ARGS_APPEND: `${options} -p ${sshd.port}` },
    },
  ];
  const shells: ParallelShell[] = [];
  const missing: string[] = [];
  for (const { packageName, ...program } of programs) {
    const reason = await requirePackage(program.file, packageName, say);
    if (reason === undefined)
      shells.push({ name: program.file, run: () => runOnce(program, addresses.length) });
    else missing.push(reason);
  }
  return { shells, missing };
}

async function runOnce(program: Program, nodes: number): Promise<void> {
  const answer = await runProgram(program);
  const successes = answer.split('{}').length - 1;
  if (successes !== nodes) throw new Error(`${program.file} answered ${answer}`);
}
