import { RuneError } from '../../shared/errors.js';

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;

/** "30s", "1m30s", "500ms" or "1.5h" in milliseconds. Throws COMMAND_INVALID naming `flag` for anything else and for zero. */
export function parseDuration(text: string, flag: string): number {
  const total = WHOLE.test(text)
    ? [...text.matchAll(PART)].reduce(
        (sum, [, amount, unit]) => sum + Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS],
        0,
      )
    : 0;
  if (total >= 1 && Number.isSafeInteger(Math.round(total))) return Math.round(total);
  throw new RuneError(
    'COMMAND_INVALID',
    `${flag} ${text}: not a duration above zero; write it like 500ms, 30s, 5m or 1h30m.`,
  );
}
