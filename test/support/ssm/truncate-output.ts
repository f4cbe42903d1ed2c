const SUFFIX = '--output truncated--';

/** The bytes of one stream that the agent reports, cut in the middle of a character where the limit is there. */
export function truncateOutput(output: Buffer, bytesMax: number): string {
  if (output.length < bytesMax) return output.toString('utf8');
  return output.subarray(0, bytesMax - SUFFIX.length).toString('utf8') + SUFFIX;
}

const ERROR_TITLE = '\n----------ERROR-------\n';
const OUT_MARK = '\n---Output truncated---';
const ERROR_MARK = '\n---Error truncated----';

/** Both streams of one step as one text, as lists of invocations show it. */
export function combineOutput(stdout: string, stderr: string, charactersMax: number): string {
  const title = stderr === '' ? '' : ERROR_TITLE;
  const room = charactersMax - title.length;
  if (stdout.length + stderr.length < room) return stdout + title + stderr;
  if (stdout.length > room / 2 && stderr.length > room / 2) {
    const half = Math.floor((room - OUT_MARK.length - ERROR_MARK.length) / 2);
    return stdout.slice(0, half) + OUT_MARK + title + stderr.slice(0, half) + ERROR_MARK;
  }
  if (stdout.length <= room / 2)
    return stdout + title + stderr.slice(0, room - ERROR_MARK.length - stdout.length) + ERROR_MARK;
  return stdout.slice(0, room - OUT_MARK.length - stderr.length) + OUT_MARK + title + stderr;
}
