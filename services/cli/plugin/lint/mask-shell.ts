const HERE_DOCUMENT = /^<<-?\s*(?:'([^'\n]+)'|"([^"\n]+)"|\\?([\w.]+))/;
const OPENS_SUBSTITUTION = /^(?:\$\(|<\(|>\()/;

/**
 * A script with everything blanked that is no command of its own: comments, quoted text, here-documents and what is within
 * $(…), <(…) or backticks. Offsets stay, line ends within what is blanked do not. A rough reading of shell grammar, for hints only.
 */
export function maskShell(script: string): string {
  const masked = script.split('');
  const blank = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) masked[at] = ' ';
  };
  const pending: string[] = [];
  let depth = 0;
  let at = 0;

  const endOfQuote = (start: number, quote: string): number => {
    for (let end = start + 1; end < script.length; end += 1) {
      if (script[end] === '\\' && quote !== "'") end += 1;
      else if (script[end] === quote) return end + 1;
    }
    return script.length;
  };
  const endOfExpansion = (start: number): number => {
    let open = 0;
    for (let end = start; end < script.length; end += 1) {
      const char = script[end] ?? '';
      if (char === '\\') end += 1;
      else if (char === "'" || char === '"') end = endOfQuote(end, char) - 1;
      else if (char === '{') open += 1;
      else if (char === '}') open -= 1;
      if (open === 0) return end + 1;
    }
    return script.length;
  };
  const endOfHereDocument = (start: number, word: string): number => {
    for (let line = start; line < script.length;) {
      const found = script.indexOf('\n', line);
      const end = found < 0 ? script.length : found;
      if (script.slice(line, end).trim() === word) return end;
      line = end + 1;
    }
    return script.length;
  };
  /** How far to go on from here; what is passed over is blanked unless `shown`. */
  const step = (): { length: number; shown: boolean } => {
    const rest = script.slice(at, at + 200);
    const char = script[at] ?? '';
    if (char === '\\') return { length: 2, shown: false };
    if (char === "'" || char === '"' || char === '`')
      return { length: endOfQuote(at, char) - at, shown: false };
    if (char === '#' && /(?:^|[\s;(])$/.test(script.slice(Math.max(0, at - 1), at))) {
      return { length: /^[^\n]*/.exec(script.slice(at))?.[0].length ?? 1, shown: false };
    }
    if (char === '\n' && pending.length > 0) {
      let end = at + 1;
      for (const word of pending.splice(0)) end = Math.min(endOfHereDocument(end, word) + 1, script.length);
      // The line end itself stays: the command before it is over.
      blank(at + 1, end - 1);
      return { length: Math.max(1, end - 1 - at), shown: true };
    }
    const [opening, ...words] = HERE_DOCUMENT.exec(rest) ?? [];
    if (opening !== undefined && !rest.startsWith('<<<')) {
      pending.push(words.find((word) => word !== undefined) ?? '');
      return { length: opening.length, shown: true };
    }
    if (rest.startsWith('${')) return { length: endOfExpansion(at + 1) - at, shown: false };
    const substitution = OPENS_SUBSTITUTION.exec(rest)?.[0];
    if (substitution !== undefined) {
      depth += 1;
      return { length: substitution.length, shown: false };
    }
    if (depth > 0 && char === '(') depth += 1;
    else if (depth > 0 && char === ')') {
      depth -= 1;
      return { length: 1, shown: false };
    }
    return { length: 1, shown: depth === 0 };
  };

  while (at < script.length) {
    const { length, shown } = step();
    if (!shown) blank(at, at + length);
    at += length;
  }
  return masked.join('');
}
