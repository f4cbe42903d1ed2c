import { EXIT_CODE, RuneError } from '../../shared/errors.js';
import { HostKey, type Node, type NodeProbe } from '../../shared/gen/rune/v1/run.js';
import type { NodesOptions } from '../commands/nodes.js';
import { renderProbe } from '../catalogue/nodes-command.js';
import type { Deps } from '../connect.js';
import { exitNameOfError } from '../exit-code.js';
import type { Io } from '../io.js';
import { isConfirmed, mayAsk } from '../question.js';
import { readFileBounded } from '../read-bounded.js';
import { escapeText } from '../render/escape-text.js';
import { renderTable } from '../render/table.js';
import { type Session, withService } from '../with-service.js';
import { writeAnswer } from '../write-answer.js';
import { pinHostKeys } from './pin-host-keys.js';
import { replaceFile } from './replace-file.js';

type TrustOptions = Extract<NodesOptions, { kind: 'trust' }>;

const INVENTORY_BYTES_MAX = 32 * 1024 * 1024;

/** What a person needs to see before they trust the keys. */
function renderKeys(node: Node, probe: NodeProbe): string[] {
  const state = ({ accepted, revoked }: HostKey): string =>
    revoked ? 'REVOKED, and left out' : accepted ? 'accepted already' : 'not accepted yet';
  const rows = probe.hostKeys.map((key) => [key.type, key.fingerprint, state(key)].map(escapeText));
  const gone = node.hostKeyFingerprints.filter(
    (pin) => !probe.hostKeys.some(({ fingerprint }) => fingerprint === pin),
  );
  const asked = probe.mediator === '' ? '' : `, asked by the mediator ${probe.mediator}`;
  return [
    escapeText(`${node.name} (${probe.knownHostsName}${asked}) presents:`),
    ...renderTable(
      ['KEY', 'FINGERPRINT', 'STATE'].map((header) => ({ header })),
      rows,
    ).map((line) => `  ${line}`),
    ...gone.map((pin) => escapeText(`  pinned until now and not presented: ${pin}`)),
    'Compare them with the node itself: for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf "$f"; done',
  ];
}

async function confirm(io: Io, { yes }: TrustOptions, what: string): Promise<boolean> {
  if (yes) return true;
  if (!mayAsk(io, false)) {
    throw new RuneError('COMMAND_INVALID', 'Nobody can be asked here: compare the keys, then add --yes.');
  }
  await io.stderr.write(`Type yes to ${what}: `);
  return isConfirmed(io);
}

async function trust(
  options: TrustOptions,
  { io }: Deps,
  { client, call, output }: Session,
): Promise<number> {
  const { node, probe } = await client.getNode({ name: options.name, probe: true }, call);
  if (node === undefined || probe === undefined)
    throw new RuneError('INTERNAL', 'The service answered without a node or a probe.');
  const keys = probe.hostKeys.filter(({ revoked }) => !revoked);
  if (probe.hostKeys.length === 0) {
    await io.stderr.write(
      renderProbe(probe)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const name = probe.error?.errorData?.name;
    return name === undefined ? EXIT_CODE.REFUSED : EXIT_CODE[exitNameOfError(name)];
  }
  await io.stderr.write(
    renderKeys(node, probe)
      .map((line) => `${line}\n`)
      .join(''),
  );
  if (keys.length === 0)
    throw new RuneError('HOST_KEY_REVOKED', `Every host key of ${node.name} is revoked.`, {
      node: node.name,
    });

  const facts = {
    node: node.name,
    knownHostsName: probe.knownHostsName,
    hostKeys: probe.hostKeys.map(HostKey.toJSON),
  };
  const refused = async (): Promise<number> => {
    await io.stderr.write('Nothing was written.\n');
    return EXIT_CODE.REFUSED;
  };
  const { inventory } = options;
  if (inventory !== undefined) {
    const fingerprints = keys.map(({ fingerprint }) => fingerprint);
    const pin = async () =>
      pinHostKeys(
        await readFileBounded(inventory, INVENTORY_BYTES_MAX, '--inventory', io.interrupts.first),
        node.name,
        fingerprints,
      );
    // Before the question, so that nobody is asked in vain; and again after it, for the file may have changed meanwhile.
    await pin();
    if (!(await confirm(io, options, `pin these keys in ${escapeText(inventory)}`))) return refused();
    const { text, line } = await pin();
    await replaceFile(inventory, text, '--inventory');
    await writeAnswer(io.stdout, output, {
      json: () => ({ ...facts, inventory, line }),
      pretty: () => [
        escapeText(
          `${inventory}:${line} pins ${keys.length === 1 ? '1 host key' : `${keys.length} host keys`} of ${node.name}.`,
        ),
      ],
    });
    return EXIT_CODE.SUCCEEDED;
  }
  const lines = keys.map(({ type, publicKey }) => `${probe.knownHostsName} ${type} ${publicKey}`);
  if (options.knownHosts) {
    if (!(await confirm(io, options, 'print them as known_hosts lines'))) return refused();
    await writeAnswer(io.stdout, output, {
      json: () => ({ ...facts, knownHosts: lines }),
      pretty: () => lines.map(escapeText),
    });
    return EXIT_CODE.SUCCEEDED;
  }
  await io.stderr.write(
    'Nothing was written: name --inventory FILE to pin them, or --known-hosts to print lines.\n',
  );
  if (output !== 'pretty') await writeAnswer(io.stdout, output, { json: () => facts, pretty: () => [] });
  return EXIT_CODE.SUCCEEDED;
}

/** `rune nodes trust NAME`: answers the exit code; a node that shows no key is 6, "no" at the question is 4. */
export function trustCommand(options: TrustOptions, deps: Deps): Promise<number> {
  return withService(deps, options.service, (session) => trust(options, deps, session));
}
