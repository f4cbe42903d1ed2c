import { endOf, type InvocationPast } from './invocation-state.js';
import { lookScript } from './look-script.js';
import { scriptParameters } from './node-script.js';
import { detailsOf, reportOf } from './read-invocation.js';
import type { NodeReport } from './report.js';
import { lookComment } from './run-comment.js';
import { REPORT_MARGIN_MS, SERVICE_MARGIN_MS } from './run-limits.js';
import { sendParcel } from './send-command.js';
import type { SsmInvocation } from './ssm-api.js';
import type { SentRun, SsmRun, SsmRunDeps } from './ssm-run.js';
import { deliverySeconds, sendSettings } from './ssm-settings.js';

/** Whether the node may know more than the invocation says: its script was killed, or a part of its report is missing. */
export function needsLook(report: NodeReport, invocation: SsmInvocation, past: InvocationPast): boolean {
  if (report.kind === 'cut') return true;
  return report.kind === 'silent' && endOf(invocation, past).kind !== 'never-ran';
}

/** What the script said in the end, as the node has kept it; `first` if it cannot be asked. */
export async function lookAtNode(
  run: SsmRun,
  deps: SsmRunDeps,
  sent: SentRun,
  first: NodeReport,
): Promise<NodeReport> {
  const { command } = run;
  const { access, address, settings, clock } = deps;
  const waitMs = command.killGraceMs + REPORT_MARGIN_MS;
  const tooLate = new AbortController();
  const cancelTimer = clock.after(settings.ssmDeliveryTimeoutMs + waitMs + SERVICE_MARGIN_MS, () =>
    tooLate.abort(),
  );
  try {
    const { instanceId } = address;
    const comment = lookComment(command.runId);
    const look = {
      instanceIds: [instanceId],
      document: settings.ssmDocument,
      parameters: scriptParameters(lookScript(sent.commandId, waitMs), settings.ssmDocumentForm),
      outputBucket: deps.bucket,
      comment,
      deliverySeconds: deliverySeconds(settings),
      executionSeconds: Math.ceil((waitMs + REPORT_MARGIN_MS) / 1000),
    };
    const sending = await sendParcel(
      access,
      {
        load: () => ({ command: look, isIt: (listed) => listed.comment === comment }),
        unload: () => undefined,
      },
      { settings: sendSettings(settings), clock, stop: tooLate.signal },
    );
    if (sending.kind !== 'sent' || sending.sent.commandId === undefined) return first;
    const { commandId, sentAt } = sending.sent;
    await access.watch.untilOver({ commandId, instanceId, sentAt }, () => undefined, tooLate.signal);
    const invocation = await detailsOf(access, commandId, instanceId, clock, tooLate.signal);
    const found = await reportOf(run, deps, invocation, tooLate.signal);
    return found.kind === 'silent' ? first : found;
  } catch {
    // Nobody can be asked: what is known already counts.
    return first;
  } finally {
    cancelTimer();
  }
}
