import { AwsError } from './aws-error.js';

/** The members of a request, read one by one as AWS checks them. */
export interface Input {
  text(name: string, bounds?: TextBounds): string | undefined;
  number(name: string, least: number, most: number): number | undefined;
  flag(name: string): boolean;
  texts(name: string, itemsMax: number): readonly string[];
  objects(name: string, itemsMax: number): readonly Readonly<Record<string, unknown>>[];
  map(name: string): Readonly<Record<string, readonly string[]>>;
}

/** What a text may be. */
export interface TextBounds {
  readonly least?: number;
  readonly most?: number;
  readonly pattern?: RegExp;
}

/** Reads members of a JSON object. A wrong type is a SerializationException, a wrong value a ValidationException. */
export function readInput(members: Readonly<Record<string, unknown>>): Input {
  const list = (name: string, itemsMax: number): readonly unknown[] => {
    const value = members[name] ?? [];
    if (!Array.isArray(value)) throw wrongType(name);
    if (value.length > itemsMax)
      throw invalid(name, value, `Member must have length less than or equal to ${itemsMax}`);
    return value;
  };
  return {
    text(name, { least = 0, most = Infinity, pattern = /^/ } = {}) {
      const value = members[name] ?? undefined;
      if (value === undefined) return undefined;
      if (typeof value !== 'string') throw wrongType(name);
      if (value.length < least)
        throw invalid(name, value, `Member must have length greater than or equal to ${least}`);
      if (value.length > most)
        throw invalid(name, value, `Member must have length less than or equal to ${most}`);
      if (!pattern.test(value))
        throw invalid(name, value, `Member must satisfy regular expression pattern: ${pattern.source}`);
      return value;
    },
    number(name, least, most) {
      const value = members[name] ?? undefined;
      if (value === undefined) return undefined;
      if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(name);
      if (value < least)
        throw invalid(name, value, `Member must have value greater than or equal to ${least}`);
      if (value > most) throw invalid(name, value, `Member must have value less than or equal to ${most}`);
      return value;
    },
    flag(name) {
      const value = members[name] ?? false;
      if (typeof value !== 'boolean') throw wrongType(name);
      return value;
    },
    texts: (name, itemsMax) =>
      list(name, itemsMax).map((each) => {
        if (typeof each !== 'string') throw wrongType(name);
        return each;
      }),
    objects: (name, itemsMax) =>
      list(name, itemsMax).map((each) => {
        if (typeof each !== 'object' || each === null) throw wrongType(name);
        return each as Readonly<Record<string, unknown>>;
      }),
    map(name) {
      const value = members[name] ?? {};
      if (typeof value !== 'object' || Array.isArray(value)) throw wrongType(name);
      for (const each of Object.values(value)) {
        if (!Array.isArray(each) || each.some((item) => typeof item !== 'string')) throw wrongType(name);
      }
      return value as Readonly<Record<string, readonly string[]>>;
    },
  };
}

const wrongType = (name: string): AwsError =>
  new AwsError('SerializationException', `${name} does not have the type that it must have.`);

const invalid = (name: string, value: unknown, constraint: string): AwsError =>
  new AwsError(
    'ValidationException',
    `1 validation error detected: Value '${String(value).slice(0, 200)}' at '${name[0]?.toLowerCase()}${name.slice(1)}' failed to satisfy constraint: ${constraint}`,
  );
