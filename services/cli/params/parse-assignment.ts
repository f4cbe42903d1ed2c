import { RuneError } from '../../shared/errors.js';

/** One `--param`: what it sets and where the value comes from. */
export interface ParamAssignment {
  readonly key: string;
  /** `text`: converted as the action's schema says. `json`: taken as it is. `file`: text read from a file, `-` for stdin. */
  readonly kind: 'text' | 'json' | 'file';
  readonly value: string;
}

/** Parses `key=value`, `key=@file`, `key=@-` or `key:=JSON`. Throws COMMAND_INVALID naming the flag. */
export function parseAssignment(text: string): ParamAssignment {
  const at = text.indexOf('=');
  const json = at > 0 && text[at - 1] === ':';
  const key = text.slice(0, json ? at - 1 : Math.max(at, 0));
  if (key === '') {
    throw new RuneError(
      'COMMAND_INVALID',
      `--param ${text === '' ? '""' : text.slice(0, 40)}: write key=value, key=@file, key=@- or key:=JSON.`,
    );
  }
  const value = text.slice(at + 1);
  if (json) return { key, kind: 'json', value };
  return value.startsWith('@') ? { key, kind: 'file', value: value.slice(1) } : { key, kind: 'text', value };
}
