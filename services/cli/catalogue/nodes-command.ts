import { toMs } from '../../shared/messages/duration.js';
import { EXIT_CODE } from '../../shared/errors.js';
import { GetNodeResponse, type InventorySource } from '../../shared/gen/rune/v1/lom.js';
import { Node, type NodeProbe } from '../../shared/gen/rune/v1/run.js';
import type { NodesOptions } from '../commands/nodes.js';
import { exitNameOfError } from '../exit-code.js';
import { escapeText } from '../render/escape-text.js';
import { lockLines } from '../render/describe-lock.js';
import { formatDuration } from '../render/format-duration.js';
import { errorDetails, errorHeadline } from '../render/render-error.js';
import { renderValue } from '../render/render-value.js';
import { renderTable } from '../render/table.js';
import type { Deps } from '../connect.js';
import { type Session, withService } from '../with-service.js';
import { writeAnswer } from '../write-answer.js';
import { allNodes } from './pages.js';
import { sourceAge, sourceLines } from './source-words.js';
import { writeList } from './write-list.js';

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);
const address = ({ address: host, port, transports }: Node) =>
  port === 0 || transports.every((transport) => transport === 'local') ? host : `${host}:${port}`;
const labels = (node: Node) =>
  Object.entries(node.labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');

/** What a probe found, as lines for people. */
export function renderProbe(probe: NodeProbe): string[] {
  const { error, hostKeyFingerprint, hostKeyType, hostKeyAccepted, authenticated, connect, mediator } = probe;
  const others = probe.hostKeys.filter(({ fingerprint }) => fingerprint !== hostKeyFingerprint);
  const key = hostKeyFingerprint === '' ? 'not seen' : `${hostKeyType} ${hostKeyFingerprint}`;
  const took = connect === undefined ? '' : ` in ${formatDuration(toMs(connect))}`;
  const failure =
    error === undefined ? [] : [errorHeadline(error), ...indent(errorDetails(error, { withLog: true }))];
  if (probe.ssmAgent !== undefined) {
    const { pingStatus, agentVersion, platform } = probe.ssmAgent;
    return [
      escapeText(`SSM agent: ${pingStatus}, version ${agentVersion}, on ${platform}`),
      ...(mediator === '' ? [] : [escapeText(`tried by: ${mediator}`)]),
      ...failure,
    ];
  }
  return [
    escapeText(
      `host key: ${key}${hostKeyFingerprint === '' ? '' : hostKeyAccepted ? ' (accepted)' : ' (REFUSED)'}`,
    ),
    ...others.map(({ type, fingerprint, accepted, revoked }) =>
      escapeText(
        `also: ${type} ${fingerprint} (${revoked ? 'REVOKED' : accepted ? 'accepted' : 'not accepted'})`,
      ),
    ),
    `login: ${authenticated ? `accepted${took}` : 'no'}`,
    ...(mediator === '' ? [] : [escapeText(`tried by: ${mediator}`)]),
    ...failure,
  ];
}

/** A node as lines for people; what is not set is left out. */
export function renderNode(node: Node, width: number): string[] {
  const facts = {
    address: address(node),
    instance: [node.ssm?.instanceId, node.ssm?.region].filter(Boolean).join(' in '),
    role: node.ssm?.roleArn ?? '',
    user: node.user,
    'run as': node.runAs?.user ?? '',
    become: node.runAs?.become ?? '',
    transports: node.transports,
    credential: node.credential,
    'reached through': node.jump,
    ...(node.weakAlgorithms ? { 'weak algorithms': 'allowed' } : {}),
    zone: node.zone,
    groups: node.groups,
    labels: node.labels,
    'pinned host keys': node.hostKeyFingerprints,
    variables: node.vars ?? {},
  };
  const set = Object.entries(facts).filter(([, value]) => Object.keys(value).length > 0);
  return [
    `${escapeText(node.name)}${node.maintenance ? ' (in maintenance: no action runs here)' : ''}`,
    ...indent(renderValue(Object.fromEntries(set), width)),
  ];
}

async function show(
  options: Extract<NodesOptions, { kind: 'show' }>,
  { io }: Deps,
  { client, call, output }: Session,
): Promise<number> {
  const answer = await client.getNode({ name: options.name, probe: options.probe }, call);
  const { node, probe, inventorySource: source, lock } = answer;
  await writeAnswer(io.stdout, output, {
    json: () => GetNodeResponse.toJSON({ ...answer, header: undefined }),
    pretty: () => [
      ...(node === undefined ? [] : renderNode(node, io.stdout.size().columns)),
      ...(source === undefined ? [] : [`  from: ${sourceAge(source, io.nowMs())}`]),
      ...(lock === undefined ? [] : indent(lockLines(lock).map(escapeText))),
      ...(probe === undefined ? [] : ['probe:', ...indent(renderProbe(probe))]),
    ],
  });
  // What is to be known of other nodes of the source is told with the list.
  await tellOfSources(source === undefined ? [] : [{ ...source, notes: [] }], io);
  const failure = probe?.error?.errorData?.name;
  return failure === undefined ? EXIT_CODE.SUCCEEDED : EXIT_CODE[exitNameOfError(failure)];
}

async function list(
  options: Extract<NodesOptions, { kind: 'list' }>,
  { io }: Deps,
  { client, call, output }: Session,
): Promise<number> {
  const { groups, labels: wanted } = options;
  const all = groups.length + Object.keys(wanted).length === 0;
  const targets = all ? undefined : { groups: [...groups], labels: { ...wanted }, allowEmpty: true };
  let sources: readonly InventorySource[] = [];
  const nodes = allNodes(client, call, targets, (found) => (sources = found));
  await writeList(io, output, nodes, {
    key: 'nodes',
    none: 'no nodes',
    json: Node.toJSON,
    table: (items) =>
      renderTable(
        ['NODE', 'TRANSPORTS', 'ADDRESS', 'USER', 'GROUPS', 'LABELS', 'MAINTENANCE'].map((header) => ({
          header,
        })),
        items.map((node) =>
          [
            node.name,
            node.transports.join(','),
            address(node),
            node.user,
            node.groups.join(','),
            labels(node),
            node.maintenance ? 'yes' : '',
          ].map(escapeText),
        ),
      ),
  });
  await tellOfSources(sources, io);
  return EXIT_CODE.SUCCEEDED;
}

async function tellOfSources(
  sources: readonly InventorySource[],
  { stderr, nowMs }: Deps['io'],
): Promise<void> {
  await stderr.write(
    sourceLines(sources, nowMs())
      .map((line) => `${line}\n`)
      .join(''),
  );
}

/** `rune nodes` and `rune nodes show NAME`: answers the exit code; a node that cannot be reached is 6. */
export function nodesCommand(
  options: Exclude<NodesOptions, { kind: 'trust' | 'import' }>,
  deps: Deps,
): Promise<number> {
  return withService(deps, options.service, (session) =>
    options.kind === 'list' ? list(options, deps, session) : show(options, deps, session),
  );
}
