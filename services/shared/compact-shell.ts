/** A shell program of ours as it is sent to nodes: without comment lines, empty lines and indentation. No quoted text in it spans lines. */
export function compactShell(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimStart())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .join('\n');
}
