/** One figure of a monitoring plugin, as the result of an action carries it. */
export interface PerformanceItem {
  readonly label: string;
  /** Null if the plugin could not tell. */
  readonly value: number | null;
  /** Empty for a plain number. */
  readonly unit: string;
  /** Thresholds are ranges such as `@10:20`, and stay as they were written. */
  readonly warning?: string;
  readonly critical?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Figures of one answer, and words of it that are none; what comes after them stays text. */
const ITEMS_MAX = 1000;
const SPACE = /\s/;
const NUMBER = /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$/;
const VALUE = /^([-+.\d]+(?:[eE][-+]?\d+)?)([^\d\s]*)$/;
/** Longer ones are no figures; looking at them could take long. */
const NUMBER_CHARS_MAX = 64;
const UNIT = /^[A-Za-z%°µμ/]{0,16}$/;
const UNKNOWN_VALUE = 'U';
const FIELDS_MAX = 5;

/**
 * Reads performance data: `'label'=value[unit];[warning];[critical];[minimum];[maximum]`, separated by white space. Whatever
 * has another form is given back as `unread`, its words joined by one space.
 */
export function parsePerformanceData(text: string): { items: PerformanceItem[]; unread: string } {
  const items: PerformanceItem[] = [];
  const unread: string[] = [];
  let at = 0;
  while (at < text.length) {
    if (SPACE.test(text[at] as string)) {
      at += 1;
      continue;
    }
    if (items.length === ITEMS_MAX || unread.length === ITEMS_MAX) {
      unread.push(text.slice(at).trimEnd());
      break;
    }
    const label = labelAt(text, at);
    const end = wordEnd(text, label?.end ?? at);
    const item = label === undefined ? undefined : itemOf(label.name, text.slice(label.end, end));
    // A label with spaces that leads to nothing is not one: its words are looked at one by one.
    const next = item === undefined ? wordEnd(text, at) : end;
    if (item === undefined) unread.push(text.slice(at, next));
    else items.push(item);
    at = next;
  }
  return { items, unread: unread.join(' ') };
}

/** The label that begins here and where its value begins, behind the equals sign. */
function labelAt(text: string, start: number): { name: string; end: number } | undefined {
  if (text[start] !== "'") {
    const word = text.slice(start, wordEnd(text, start));
    const equals = word.indexOf('=');
    return equals < 1 ? undefined : { name: word.slice(0, equals), end: start + equals + 1 };
  }
  let from = start + 1;
  for (;;) {
    const quote = text.indexOf("'", from);
    if (quote < 0) return undefined;
    if (text[quote + 1] !== "'") {
      if (text[quote + 1] !== '=' || quote === start + 1) return undefined;
      return { name: text.slice(start + 1, quote).replaceAll("''", "'"), end: quote + 2 };
    }
    from = quote + 2;
  }
}

function wordEnd(text: string, start: number): number {
  const space = new RegExp(SPACE, 'g');
  space.lastIndex = start;
  return space.exec(text)?.index ?? text.length;
}

function itemOf(label: string, word: string): PerformanceItem | undefined {
  const [measured = '', warning = '', critical = '', minimum = '', maximum = '', ...more] = word.split(
    ';',
    FIELDS_MAX + 1,
  );
  if (measured.length > NUMBER_CHARS_MAX) return undefined;
  const [, amount = '', unit = ''] = VALUE.exec(measured) ?? [];
  const value = measured === UNKNOWN_VALUE ? null : numberOf(amount);
  const [least, most] = [numberOf(minimum), numberOf(maximum)];
  const isWhole = more.every((rest) => rest === '');
  const areLimitsGood = (minimum === '' || least !== undefined) && (maximum === '' || most !== undefined);
  if (value === undefined || !UNIT.test(unit) || !isWhole || !areLimitsGood) return undefined;
  return {
    label,
    value,
    unit,
    ...(warning === '' ? {} : { warning }),
    ...(critical === '' ? {} : { critical }),
    ...(least === undefined ? {} : { minimum: least }),
    ...(most === undefined ? {} : { maximum: most }),
  };
}

/** Undefined for what is no number, or none that JSON can carry. */
function numberOf(text: string): number | undefined {
  const value = text.length <= NUMBER_CHARS_MAX && NUMBER.test(text) ? Number(text) : NaN;
  return Number.isFinite(value) ? value : undefined;
}
