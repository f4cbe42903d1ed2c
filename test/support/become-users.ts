import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { eventually } from './eventually.js';

const run = promisify(execFile);

const DOAS_CONF = '/etc/doas.conf';

/** Who may become whom, with LOGIN and TARGET for the two users; nobody may where nothing is said. */
export interface BecomeRules {
  /** Lines of a sudoers file. */
  readonly sudoers?: string;
  /** Lines of doas.conf. */
  readonly doas?: string;
}

/** Two users of this machine that nobody else uses, and the rules between them. */
export interface BecomeUsers {
  readonly login: string;
  readonly target: string;
  /** Gives the login this shell. */
  useShell(path: string): Promise<void>;
  /** Puts these rules in the place of those before. */
  allow(rules: BecomeRules): Promise<void>;
  /** Takes rules, users and homes away. */
  remove(): Promise<void>;
}

let made = 0;

/** Makes the two users. Needs root, sudo and opendoas. */
export async function makeBecomeUsers(): Promise<BecomeUsers> {
  made += 1;
  const name = `rune-${process.pid.toString(36)}${made}`;
  const [login, target] = [`${name}l`, `${name}t`];
  const sudoersFile = `/etc/sudoers.d/${name}`;
  await addUser(login, '/bin/bash');
  await addUser(target, '/bin/sh');

  const allow = async ({ sudoers, doas }: BecomeRules): Promise<void> => {
    const fill = (text: string): string => text.replaceAll('LOGIN', login).replaceAll('TARGET', target);
    await rm(sudoersFile, { force: true });
    if (sudoers !== undefined) await writeFile(sudoersFile, `${fill(sudoers)}\n`, { mode: 0o440 });
    // There is one file for everybody: what is not about these two stays.
    const conf = await readFile(DOAS_CONF, 'utf8').catch(() => '');
    const lines = conf.split('\n').filter((line) => line !== '' && !line.includes(name));
    if (doas !== undefined) lines.push(fill(doas));
    if (lines.length === 0) await rm(DOAS_CONF, { force: true });
    else await writeFile(DOAS_CONF, `${lines.join('\n')}\n`, { mode: 0o600 });
  };

  return {
    login,
    target,
    async useShell(path) {
      await repeatedly('usermod', ['--shell', path, login]);
    },
    allow,
    async remove() {
      await allow({});
      await removeUser(login);
      await removeUser(target);
    },
  };
}

function addUser(user: string, shell: string): Promise<unknown> {
  // The password "*" fits nothing, and unlike the default "!" it does not lock the account.
  const args = ['--system', '--create-home', '--shell', shell, '--password', '*', user];
  return repeatedly('useradd', args, /already exists/);
}

async function removeUser(user: string): Promise<void> {
  // What a failed test has left.
  await run('pkill', ['-KILL', '-u', user]).catch(() => 'nothing');
  await repeatedly('userdel', ['--remove', user], /does not exist/);
}

/** Another process may hold the lock of /etc/passwd, or still be running as the user. */
function repeatedly(command: string, args: readonly string[], done?: RegExp): Promise<unknown> {
  return eventually(
    async () => {
      try {
        await run(command, args);
      } catch (error) {
        if (done?.test(String(error)) !== true) throw error;
      }
    },
    { label: `${command} ${args.at(-1)}` },
  );
}
