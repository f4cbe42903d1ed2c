import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, cp, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { readCopy, readDockerfile } from '../support/dockerfile.js';
import { eventually } from '../support/eventually.js';
import { skip } from '../support/skip.js';
import { makeTempDirectory, type TempDirectory } from '../support/temp-directory.js';

const execute = promisify(execFile);
const read = (path: string): string => readFileSync(join(packageRoot, path), 'utf8');
const instructions = readDockerfile(read('deploy/Dockerfile'));
const inStage = (stage: string, name: string): string[] =>
  instructions.filter((one) => one.stage === stage && one.name === name).map(({ text }) => text);
const copies = instructions
  .filter(({ name }) => name === 'COPY')
  .map((one) => ({ ...one, ...readCopy(one) }));
const LAST = '2';
const USER = 65_532;

interface PackageJson {
  readonly files: readonly string[];
  readonly bin: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(read('package.json')) as PackageJson;

describe('deploy/Dockerfile', () => {
  it('begins each stage with an exact version', () => {
    for (const { text } of instructions.filter(({ name }) => name === 'FROM'))
      assert.match(text, /^node:\d+\.\d+\.\d+-/);
  });

  it('copies what exists and what .dockerignore lets in', () => {
    const let_in = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = copies.filter(({ from }) => from === undefined).flatMap((copy) => copy.sources);
    assert.deepEqual(
      sources.filter((source) => !existsSync(join(packageRoot, source))),
      [],
    );
    assert.deepEqual(
      sources.filter((source) => !let_in.some((one) => source === one || source.startsWith(`${one}/`))),
      [],
    );
  });

  it('puts every file of the package into the image, and its commands on the PATH', () => {
    const copied = copies.filter(({ stage }) => stage === LAST).map(({ destination }) => destination);
    assert.deepEqual(
      manifest.files.filter((file) => !copied.includes(file)),
      [],
    );
    const run = inStage(LAST, 'RUN').join(' && ');
    for (const [name, file] of Object.entries(manifest.bin)) {
      assert.ok(run.includes(`ln -s /opt/rune/${file} /usr/local/bin/${name}`), name);
      assert.ok(
        run.split('&&').some((one) => one.includes('chmod 0755') && one.includes(file)),
        file,
      );
    }
  });

  it('runs a user without rights below an init, and says how it feels', () => {
    assert.deepEqual(inStage(LAST, 'USER'), [`${USER}:${USER}`]);
    assert.deepEqual(inStage(LAST, 'ENTRYPOINT'), ['["/usr/bin/tini", "--"]']);
    assert.match(inStage(LAST, 'HEALTHCHECK')[0] ?? '', /CMD \["rune-lom", "health"\]$/);
  });
});

describe('what the image holds', () => {
  let directory: TempDirectory;
  let tree: string;
  const started: ChildProcess[] = [];

  before(async function () {
    if (process.getuid?.() !== 0) skip(this, 'only root can become the user of the image');
    directory = await makeTempDirectory();
    tree = join(directory.path, 'rune');
    await mkdir(tree);
    await chmod(directory.path, 0o755);
    for (const { stage, sources } of copies) {
      if (stage === 'modules') for (const one of sources) await cp(join(packageRoot, one), join(tree, one));
    }
    // The very command of the image; what npm has in its cache need not come over the network again.
    const [install = ''] = inStage('modules', 'RUN');
    await execute('sh', ['-c', `${install} --prefer-offline`], { cwd: tree });
    for (const { stage, from, sources, destination } of copies) {
      if (stage !== LAST || from === 'modules') continue;
      for (const source of sources) {
        const to = destination.endsWith('/') ? join(destination, source) : destination;
        await mkdir(dirname(join(tree, to)), { recursive: true });
        await cp(join(packageRoot, source.replace(/^\/build\//, '')), join(tree, to), { recursive: true });
      }
    }
    await directory.write({ 'rune/inventory.yaml': read('deploy/inventory.example.yaml') });
  });

  after(async () => {
    for (const child of started.splice(0)) child.kill('SIGKILL');
    await directory?.remove();
  });

  /** A program of the image as its user; of all directories only its working directory (and /tmp) can be written to. */
  function start(program: string[], env: Record<string, string>): ChildProcess {
    const child = spawn(
      'unshare',
      [
        '--mount',
        'sh',
        '-euc',
        `mount --bind "$0" /opt
         mount -t tmpfs -o mode=0700,uid=${USER},gid=${USER} tmpfs /mnt
         mount -t tmpfs -o mode=1777 tmpfs /tmp
         mount -o remount,bind,ro /opt
         mount -o remount,bind,ro /
         cd /mnt
         if [ "$(setpriv --reuid=${USER} --regid=${USER} --clear-groups sh -c 'touch /opt/x /x' 2>&1 | grep -c 'Read-only')" != 2 ]
         then echo 'the tree can be written to' >&2; exit 99; fi
         exec setpriv --reuid=${USER} --regid=${USER} --clear-groups --no-new-privs --bounding-set=-all "$@"`,
        directory.path,
        process.execPath,
        ...program.map((word, index) => (index === 0 ? join('/opt/rune', word) : word)),
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], HOME: '/mnt', ...env } },
    );
    started.push(child);
    return child;
  }

  function follow(child: ChildProcess): { text: () => string; ended: Promise<number | string> } {
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    }
    const ended = once(child, 'close').then(
      ([code, signal]: unknown[]) => (code ?? signal) as number | string,
    );
    return { text: () => text, ended };
  }

  it('has no package that is only for development', async () => {
    const modules = await readdir(join(tree, 'node_modules'));
    assert.ok(modules.includes('ssh2'));
    assert.ok(!modules.includes('mocha') && !modules.includes('typescript'));
  });

  for (const [name, prefix] of [
    ['rune-lmm', 'LMM'],
    ['rune-lom', 'LOM'],
  ] as const) {
    it(`${name} starts as that user on a read-only tree, is healthy, and ends on TERM`, async () => {
      const program = manifest.bin[name] ?? '';
      const service = start([program], {
        [`${prefix}_LISTEN`]: '127.0.0.1:0',
        [`${prefix}_PROBE_LISTEN`]: '127.0.0.1:0',
        ...(name === 'rune-lom' ? { LOM_INVENTORY: '/opt/rune/inventory.yaml' } : {}),
      });
      const { text, ended } = follow(service);
      void ended.catch(() => undefined);
      const probes = await eventually(
        () => {
          assert.equal(service.exitCode, null, text());
          if (!text().includes('"message":"listening"')) return false;
          return /"message":"probes are answered","address":"([^"]+)"/.exec(text())?.[1] ?? false;
        },
        { label: `${name} of the image` },
      );
      const asked = follow(start([program, 'health'], { [`${prefix}_PROBE_LISTEN`]: probes }));
      assert.equal(await asked.ended, 0, asked.text());
      assert.equal(asked.text(), 'SERVING\n');
      service.kill('SIGTERM');
      assert.equal(await ended, 0, text());
    });
  }

  it('rune answers in it', async () => {
    const { text, ended } = follow(start([manifest.bin['rune'] ?? '', '--version'], {}));
    assert.equal(await ended, 0, text());
    assert.match(text(), /^rune \d/);
  });
});
