/** What the command of a run has as its comment: the only thing by which it can be found again. */
export function runComment(runId: string): string {
  return `RUNE run ${runId}`;
}

/** What a command has as its comment that asks a node how a run ended. */
export function lookComment(runId: string): string {
  return `RUNE look ${runId}`;
}
