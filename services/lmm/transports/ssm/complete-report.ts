import { keyOfOutput, type OutputBucket } from './output-bucket.js';
import type { Clock } from './rate-budget.js';
import { readWhole, type NodeReport, type ReportedOutput } from './report.js';
import { pause, type SsmAccess } from './ssm-access.js';
import { SsmFault, type SsmInvocation } from './ssm-api.js';

/** What a report is completed with. */
export interface CompleteOptions {
  readonly access: Pick<SsmAccess, 'api' | 'downloads'>;
  /** Where the command was told to put its output; undefined for nowhere. */
  readonly bucket: OutputBucket | undefined;
  /** Of each output; longer ones are left as they are. */
  readonly bytesMax: number;
  /** How long an output is waited for: agents bring it when the command is over already. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** For one object: others wait meanwhile. */
const DOWNLOAD_MS_MAX = 60_000;
const FIRST_PAUSE_MS = 250;
const PAUSE_MS_MAX = 4_000;
/** What stands around an output in its object: the report, its part of the output, and a few words. */
const AROUND_BYTES_MAX = 64 * 1024;

/**
 * The report with the whole of each output that did not fit, if its bucket has it. Else the report stays as it is, and says in
 * `wholeMissing` why. Never rejects.
 */
export async function completeReport(
  runId: string,
  report: NodeReport,
  invocation: SsmInvocation,
  options: CompleteOptions,
): Promise<NodeReport> {
  const { bucket } = options;
  if (report.kind !== 'report' || bucket === undefined) return report;
  const missing = new Set<string>();
  const complete = async (output: ReportedOutput, url: string): Promise<ReportedOutput> => {
    if (output.wholeDigest === undefined || output.totalBytes > options.bytesMax) return output;
    const key = keyOfOutput(url, bucket, invocation);
    const found = key === undefined ? 'no place in it was named' : await read(bucket, key, options);
    const whole = typeof found === 'string' ? undefined : readWhole(runId, found.toString('latin1'), output);
    if (whole !== undefined) return whole;
    missing.add(typeof found === 'string' ? found : 'what is there is not what the node printed');
    return output;
  };
  const stdout = await complete(report.stdout, invocation.stdoutUrl);
  const stderr = report.stderr && (await complete(report.stderr, invocation.stderrUrl));
  const [why] = missing;
  return {
    ...report,
    stdout,
    stderr,
    ...(why === undefined
      ? {}
      : { wholeMissing: `the bucket ${bucket.name} does not give the rest: ${why}` }),
  };
}

/** The object, or why there is none. One that is missing looks denied to who may not list the bucket, so both are waited for. */
async function read(
  bucket: OutputBucket,
  key: string,
  { access, bytesMax, waitMs, clock, signal }: CompleteOptions,
): Promise<Buffer | string> {
  const lastLookMs = clock.now() + waitMs;
  const sizeMax = Math.ceil((bytesMax * 4) / 3) + AROUND_BYTES_MAX;
  let why = 'it is not there';
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    const isLast = clock.now() >= lastLookMs;
    let leave = (): void => undefined;
    await new Promise<void>((resolve) => (leave = access.downloads.take(resolve)));
    const tooLong = new AbortController();
    const cancelTimer = clock.after(DOWNLOAD_MS_MAX, () => tooLong.abort());
    try {
      const limit = AbortSignal.any([signal, tooLong.signal]);
      const found = await access.api.object(bucket.name, key, sizeMax, limit);
      if (found !== undefined) return found;
      why = 'it is not there';
    } catch (thrown) {
      if (tooLong.signal.aborted) return 'it takes too long';
      why = thrown instanceof SsmFault ? thrown.code : 'it cannot be asked';
    } finally {
      cancelTimer();
      leave();
    }
    if (isLast) return why;
    try {
      await pause(clock, Math.min(pauseMs, Math.max(1, lastLookMs - clock.now())), signal);
    } catch {
      return why; // Nobody waits any more.
    }
  }
}
