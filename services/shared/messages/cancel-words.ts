import { startOf } from '../bounded-text.js';

/** A reason is written by whoever cancels. */
const REASON_BYTES_MAX = 200;

/** The reason of a cancel as the end of a sentence without its full stop, such as ": maintenance"; empty without one. */
export function cancelWords(reason: string): string {
  const words = startOf(reason.trim(), REASON_BYTES_MAX).replace(/[\s.]+$/, '');
  return words === '' ? '' : `: ${words}`;
}
