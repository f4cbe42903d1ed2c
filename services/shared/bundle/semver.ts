const NUMBER = '(?:0|[1-9]\\d*)';
const PRE_PART = `(?:${NUMBER}|\\d*[A-Za-z-][0-9A-Za-z-]*)`;
const SEMVER = new RegExp(
  `^(${NUMBER})\\.(${NUMBER})\\.(${NUMBER})(?:-(${PRE_PART}(?:\\.${PRE_PART})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);
const VERSION_CHARS_MAX = 64;

/** Whether the text is a version by SemVer 2.0, of at most 64 characters. */
export function isSemver(text: string): boolean {
  return text.length <= VERSION_CHARS_MAX && SEMVER.test(text);
}

/** Order of two versions by SemVer 2.0: below 0 if `a` comes first. Build metadata does not count. Both must be valid. */
export function compareSemver(a: string, b: string): number {
  const [coreA, preA] = split(a);
  const [coreB, preB] = split(b);
  const core = compareParts(coreA, coreB);
  if (core !== 0) return core;
  // A pre-release comes before its release.
  if (preA.length === 0 || preB.length === 0) return preB.length - preA.length;
  return compareParts(preA, preB);
}

function split(version: string): [core: string[], preRelease: string[]] {
  const [, major = '', minor = '', patch = '', pre] = SEMVER.exec(version) ?? [];
  return [[major, minor, patch], pre === undefined ? [] : pre.split('.')];
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = comparePart(part, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function comparePart(a: string, b: string): number {
  const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  // Numbers without leading zeros: the longer one is larger, and no digit is lost however long they are.
  if (isNumberA && a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
