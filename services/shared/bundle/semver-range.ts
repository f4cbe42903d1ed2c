import { compareSemver, isSemver } from './semver.js';

const RANGE_CHARS_MAX = 256;
const PARTIAL = /^(\^|~|>=|<=|>|<|=)?v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(-[0-9A-Za-z.-]+)?$/;
const LOWEST_PRE = '-0';

/** One bound: a version and on which side of it the others lie. */
interface Bound {
  readonly side: '>=' | '>' | '<=' | '<';
  readonly version: string;
}

/** Whether the text is a range that `isInRange` reads, such as "^1.2", "~1.2.3", ">=1.0.0 <2.0.0 || 3.x" or "*". */
export function isSemverRange(text: string): boolean {
  return readRange(text) !== undefined;
}

/**
 * Whether the version lies in the range. A pre-release lies only in a range that names a pre-release of the same version. False for
 * a range that cannot be read.
 */
export function isInRange(version: string, range: string): boolean {
  return readRange(range)?.some((bounds) => isWithin(version, bounds)) === true;
}

function isWithin(version: string, bounds: readonly Bound[]): boolean {
  const core = coreOf(version);
  const isPre = version.split('+')[0]?.includes('-') === true;
  if (isPre && !bounds.some((bound) => isNamedPre(bound.version) && coreOf(bound.version) === core))
    return false;
  return bounds.every(({ side, version: other }) => {
    const order = compareSemver(version, other);
    if (side === '>=') return order >= 0;
    if (side === '<=') return order <= 0;
    return side === '>' ? order > 0 : order < 0;
  });
}

const coreOf = (version: string): string => /^[\d.]+/.exec(version)?.[0] ?? '';
const isNamedPre = (version: string): boolean => version.includes('-') && !version.endsWith(LOWEST_PRE);

/** The alternatives of a range, each of which is a set of bounds that must all hold; undefined for what is no range. */
function readRange(text: string): Bound[][] | undefined {
  if (text.trim() === '' || text.length > RANGE_CHARS_MAX) return undefined;
  const alternatives: Bound[][] = [];
  for (const alternative of text.split('||')) {
    const bounds: Bound[] = [];
    // An operator may stand apart from its version.
    const words = alternative.replaceAll(/([<>=~^])\s+/g, '$1').trim();
    for (const word of words === '' ? ['*'] : words.split(/\s+/)) {
      const read = readPartial(word);
      if (read === undefined) return undefined;
      bounds.push(...read);
    }
    alternatives.push(bounds);
  }
  return alternatives;
}

function readPartial(word: string): Bound[] | undefined {
  const match = PARTIAL.exec(word);
  if (match === null) return undefined;
  const [, operator = '=', ...parts] = match;
  const numbers = parts.slice(0, 3).map((part) => (/^\d/.test(part ?? '') ? Number(part) : undefined));
  const given = numbers.includes(undefined) ? numbers.indexOf(undefined) : 3;
  const [major = 0, minor = 0, patch = 0] = numbers.slice(0, given) as number[];
  const pre = given === 3 ? (parts[3] ?? '') : '';
  const low = `${major}.${minor}.${patch}${pre}`;
  if (!isSemver(low)) return undefined;
  /** The first version that is no longer below this part. */
  const next = (part: number): string =>
    part === 0
      ? `${major + 1}.0.0${LOWEST_PRE}`
      : part === 1
        ? `${major}.${minor + 1}.0${LOWEST_PRE}`
        : `${major}.${minor}.${patch + 1}${LOWEST_PRE}`;
  const from: Bound = { side: '>=', version: low };
  const below = (part: number): Bound => ({ side: '<', version: next(part) });
  if (given === 0) return operator === '>' || operator === '<' ? undefined : [];
  switch (operator) {
    case '^': {
      const firstSet = [major, minor, patch].findIndex((number) => number > 0);
      return [from, below(Math.min(firstSet < 0 ? given - 1 : firstSet, given - 1))];
    }
    case '~':
      return [from, below(given === 1 ? 0 : 1)];
    case '>=':
      return [from];
    case '<':
      return [{ side: '<', version: pre === '' ? `${low}${LOWEST_PRE}` : low }];
    case '>':
      return given === 3 ? [{ side: '>', version: low }] : [{ side: '>=', version: next(given - 1) }];
    case '<=':
      return given === 3 ? [{ side: '<=', version: low }] : [below(given - 1)];
    default:
      return given === 3 ? [from, { side: '<=', version: low }] : [from, below(given - 1)];
  }
}
