import { Risk } from '../../shared/gen/rune/v1/mrs.js';

/** What an action may do to a node, in words. */
export function riskWords(risk: Risk): string {
  switch (risk) {
    case Risk.READ_ONLY:
      return 'read only';
    case Risk.LOW:
      return 'low risk';
    case Risk.HIGH:
      return 'high risk';
    case Risk.DESTRUCTIVE:
      return 'destructive';
    default:
      return 'risk unknown';
  }
}
