/** A count with its noun, such as "1 error" or "2 errors". */
export function countWords(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
