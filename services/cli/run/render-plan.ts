import { toMs } from '../../shared/messages/duration.js';
import type { Duration } from '../../shared/gen/google/protobuf/duration.js';
import type { PlanExecutionResponse } from '../../shared/gen/rune/v1/lom.js';
import { riskWords } from '../render/risk-words.js';
import { escapeText } from '../render/escape-text.js';
import { formatDuration } from '../render/format-duration.js';
import { renderTable } from '../render/table.js';

const DIGEST_CHARS = 12;

const time = (duration: Duration | undefined) =>
  duration === undefined ? '-' : formatDuration(toMs(duration));

/** A plan as lines for people. */
export function renderPlan(plan: PlanExecutionResponse): string[] {
  const rows = plan.runs.map(({ node, transport, address, port, user, mediator, runAs }) =>
    [
      node,
      transport,
      transport !== 'local' && port !== 0 ? `${address}:${port}` : address,
      runAs === undefined || runAs.user === user
        ? user
        : [...(user === '' ? [] : [user]), `${runAs.become} ${runAs.user}`].join(', '),
      mediator,
    ].map(escapeText),
  );
  const troubles = new Map(
    plan.runs.flatMap(({ mediators }) =>
      mediators.flatMap(({ address, trouble }) => (trouble === '' ? [] : [[address, trouble] as const])),
    ),
  );
  const count = rows.length === 1 ? '1 node' : `${rows.length} nodes`;
  const limits = [
    `timeout ${time(plan.timeout)}`,
    `kill grace ${time(plan.killGrace)}`,
    `connect timeout ${time(plan.connectTimeout)}`,
    ...(plan.maxParallel > 0 ? [`at most ${plan.maxParallel} at once`] : []),
  ];
  return [
    escapeText(
      `${plan.action} ${plan.version} (digest ${plan.digest.slice(0, DIGEST_CHARS)}, ${riskWords(plan.risk)})` +
        ` would ${plan.dryRun ? 'make a dry run' : 'run'} on ${count}`,
    ),
    limits.join(', '),
    ...(rows.length === 0
      ? []
      : renderTable(
          ['NODE', 'TRANSPORT', 'ADDRESS', 'USER', 'MEDIATOR'].map((header) => ({ header })),
          rows,
        )),
    ...[...troubles].map(([address, trouble]) =>
      escapeText(`not now by the mediator ${address}: ${trouble}`),
    ),
  ];
}
