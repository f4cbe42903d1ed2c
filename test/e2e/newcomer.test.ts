import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { RUNE } from '../support/spawn-rune.js';
import { runBash } from '../support/bash.js';
import { blocksOf } from '../support/markdown-blocks.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';

const page = readFileSync(join(packageRoot, 'docs', 'plugins.md'), 'utf8');
const steps = blocksOf(page).filter(({ heading }) => heading === 'A first plugin');

/** Output without what is new each time: ids and durations. */
const lasting = (text: string) =>
  text
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'ID')
    .replaceAll(/\b\d+(?:\.\d+)? m?s\b/g, 'TIME');

/** The commands of a terminal session, each with what it printed. */
function sessionOf(text: string): { command: string; printed: string }[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n');
      return { command: part.slice(0, end), printed: part.slice(end + 1) };
    });
}

describe('the path of a newcomer, as docs/plugins.md shows it', () => {
  let sshd: TestSshd;
  let home: TempDirectory;
  let plugins: TempDirectory;

  before(async () => {
    sshd = await startSshd({ rootOnly: true, hostKeyTypes: ['ed25519'] });
    [home, plugins] = await Promise.all([makeTempDirectory(), makeTempDirectory()]);
    await home.write({
      '.ssh/known_hosts': `${sshd.knownHostsLines.join('\n')}\n`,
      'bin/rune': `#!/bin/sh\nexec '${process.execPath}' '${RUNE}' "$@"\n`,
    });
    copyFileSync(sshd.userKeyPath, join(home.path, '.ssh', 'id_ed25519'));
  });
  after(async () => {
    await Promise.all([sshd.stop(), home.remove(), plugins.remove()]);
  });

  const type = async (command: string) => {
    const { stdout } = await runBash(
      ['-c', `cd "$1" && rune() { sh "$HOME/bin/rune" "$@"; } && { ${command}; } 2>&1`, 'bash', plugins.path],
      {
        environment: { HOME: home.path, XDG_CONFIG_HOME: home.path },
      },
    );
    return stdout.toString();
  };
  const edit = (file: string, change: string) => {
    const path = join(plugins.path, file);
    const [, before = '', after = ''] = /^-(.*)\n\+(.*)\n$/.exec(change) ?? [];
    const text = readFileSync(path, 'utf8');
    assert.equal(text.split(`${before}\n`).length, 2, `${file} holds this line once: ${before}`);
    writeFileSync(
      path,
      text.replace(`${before}\n`, () => `${after}\n`),
    );
  };
  const writeInventory = (text: string) => {
    assert.match(text, /^nodes:\n {2}web01: \{ address: \S+, user: \w+ \}\n$/);
    const { host, port, users } = sshd;
    writeFileSync(
      join(plugins.path, 'inventory.yaml'),
      `nodes:\n  web01: { address: ${host}, port: ${port}, user: ${users.root} }\n`,
    );
  };

  it('leads from nothing to an action of his own on a node, over SSH', async () => {
    for (const { kind, text } of steps) {
      if (kind === 'yaml inventory.yaml') writeInventory(text);
      else if (kind.startsWith('diff ')) edit(kind.slice('diff '.length), text);
      else {
        assert.equal(kind, 'console');
        for (const { command, printed } of sessionOf(text)) {
          assert.equal(lasting(await type(command)), lasting(printed), command);
        }
      }
    }
    assert.equal(sshd.loginCount(), 1);
  });

  it('tries an action that no bundle lists on a node, over SSH, with rune plugin run', async () => {
    const printed = await type(
      'mkdir lone && cp -r hello lone/ && rune plugin run lone/hello --node web01 --inventory inventory.yaml -p name=Zoe --dry-run',
    );
    assert.equal(
      lasting(printed),
      'hello 1.0.0 on 1 node, execution ID\nweb01  succeeded in TIME\n  dry run: it changed nothing\ngreeting: Good morning, Zoe\n',
    );
    assert.equal(sshd.loginCount(), 2);
  });
});
