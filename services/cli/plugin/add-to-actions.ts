import { isScalar, isSeq, parseDocument } from 'yaml';

/**
 * The text of a bundle.yaml with one more entry in `actions`, and everything else as it was, comments too. Undefined if the
 * list is written in a way that an entry cannot be added to without changing more.
 */
export function addToActions(text: string, action: string): string | undefined {
  const list = parseDocument(text).get('actions', true);
  if (!isSeq(list)) return undefined;
  const last = list.items.at(-1);
  const start = list.range?.[0];
  const end = isScalar(last) ? last.range?.[1] : undefined;
  if (start === undefined || end === undefined) return undefined;
  if (list.flow === true) return checked(`${text.slice(0, end)}, ${action}${text.slice(end)}`, action);
  // A comment behind the last entry stays with it.
  const lineEnd = text.indexOf('\n', end);
  const [before, after] =
    lineEnd < 0 ? [`${text}\n`, ''] : [text.slice(0, lineEnd + 1), text.slice(lineEnd + 1)];
  const indent = text.slice(text.lastIndexOf('\n', start) + 1, start);
  return checked(`${before}${indent}- ${action}\n${after}`, action);
}

function checked(text: string, action: string): string | undefined {
  const document = parseDocument(text);
  const { actions } = document.toJS() as { actions?: unknown };
  return document.errors.length === 0 && Array.isArray(actions) && actions.at(-1) === action
    ? text
    : undefined;
}
