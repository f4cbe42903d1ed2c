import { RuneError } from '../errors.js';
import type { FaultPath } from '../fault.js';
import { FAULTS_LISTED_MAX, fieldName } from '../fault.js';
import type { ValidationError } from '../gen/rune/v1/eps.js';
import type { YamlSource } from './yaml-source.js';

/** Collects what is wrong with a set of files, so that all of it can be told at once. */
export interface FileFaults {
  readonly count: number;
  /** The first of them. */
  readonly listed: readonly ValidationError[];
  /** A fault of a whole file. */
  addFile(file: string, reason: string, description: string): void;
  /** A fault of the part of a YAML file at `path`; the path is put in front of the description. */
  add(source: YamlSource, path: FaultPath, reason: string, description: string): void;
  /** The faults that YAML itself found; true if the file can be looked at further. */
  addYaml(source: YamlSource): boolean;
  /** Throws CONFIGURATION_INVALID with the listed faults if there is any; `what` begins its message. */
  throwIfAny(what: string): void;
}

/** An empty collection of faults that lists the first `listedMax`. */
export function createFileFaults(listedMax = FAULTS_LISTED_MAX): FileFaults {
  const listed: ValidationError[] = [];
  let count = 0;
  // The line is looked up only for what is listed: a file may hold thousands of faults.
  const push = (fault: () => ValidationError): void => {
    count += 1;
    if (listed.length < listedMax) listed.push(fault());
  };
  return {
    get count() {
      return count;
    },
    listed,
    addFile(file, reason, description) {
      push(() => ({ field: file, reason, description }));
    },
    add(source, path, reason, description) {
      push(() => {
        const subject = fieldName('', path).replace(/^\./, '');
        const sentence = subject === '' ? `the file ${description}` : `${subject} ${description}`;
        return { field: `${source.file}:${source.lineOf(path)}`, reason, description: sentence };
      });
    },
    addYaml(source) {
      for (const { line, description } of source.faults) {
        push(() => ({
          field: `${source.file}:${line}`,
          reason: 'YAML',
          description: `the file ${description}`,
        }));
      }
      return source.value !== undefined;
    },
    throwIfAny(what) {
      const [first] = listed;
      if (first === undefined) return;
      const faults = count === 1 ? 'a fault' : `${count} faults`;
      const shown =
        count > listed.length
          ? `, of which ${listed.length} are listed; the first`
          : count > 1
            ? ', the first'
            : '';
      throw new RuneError(
        'CONFIGURATION_INVALID',
        `${what} has ${faults}${shown}: ${first.field}: ${first.description}.`,
        {
          validationErrors: listed,
        },
      );
    },
  };
}
