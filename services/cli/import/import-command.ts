import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import type { NodesOptions } from '../commands/nodes.js';
import type { Io } from '../io.js';
import { readFileBounded } from '../read-bounded.js';
import { escapeText } from '../render/escape-text.js';
import { convertAnsible } from './convert-ansible.js';
import { readAnsibleIni } from './read-ansible-ini.js';
import { readAnsibleYaml } from './read-ansible-yaml.js';

const FILE_BYTES_MAX = 32 * 1024 * 1024;

/** `rune nodes import ansible FILE`: prints an inventory of ours, and on standard error what it could not take over. */
export async function importCommand(
  { file }: Extract<NodesOptions, { kind: 'import' }>,
  { stdout, stderr, interrupts }: Io,
): Promise<number> {
  const text = await readFileBounded(file, FILE_BYTES_MAX, file, interrupts.first);
  const read = /\.(ya?ml|json)$/i.test(file) ? readAnsibleYaml : readAnsibleIni;
  let converted: ReturnType<typeof convertAnsible>;
  try {
    converted = convertAnsible(read(text));
  } catch (thrown) {
    if (thrown instanceof RuneError) throw new RuneError(thrown.name, `${file}: ${thrown.message}`);
    throw thrown;
  }
  const { document, credentials, warnings } = converted;
  // Without anchors: our inventories have none.
  const yaml = stringify(document, { aliasDuplicateObjects: false, lineWidth: 0 });
  await stdout.write(`# From ${basename(file)}, by rune nodes import ansible.\n${yaml}`);
  const lines = [
    ...warnings,
    ...(await besides(file)),
    ...(credentials.size === 0
      ? []
      : ['Name these keys in the configuration of the mediator:', '  credentials:']),
    ...[...credentials].map(([name, path]) => `    ${name}: { key_files: [${JSON.stringify(path)}] }`),
  ];
  await stderr.write(lines.map((line) => `${escapeText(line)}\n`).join(''));
  return EXIT_CODE.SUCCEEDED;
}

/** Ansible reads these beside an inventory. */
async function besides(file: string): Promise<string[]> {
  const found = await Promise.all(
    ['group_vars', 'host_vars'].map(async (name) =>
      (await stat(join(dirname(file), name)).catch(() => undefined)) === undefined ? [] : [name],
    ),
  );
  return found.flat().map((name) => `What stands in ${name} beside the file is not read.`);
}
