/** Whether a host matches a list of patterns as in known_hosts: `*`, `?`, and a matching `!pattern` refuses the whole list. */
export function matchesHostPatterns(patterns: readonly string[], host: string): boolean {
  const name = host.toLowerCase();
  let matched = false;
  for (const pattern of patterns) {
    const negated = pattern.startsWith('!');
    if (!matchesGlob((negated ? pattern.slice(1) : pattern).toLowerCase(), name)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

/** Linear in pattern times text, whatever the pattern: it may come from a file that others write. */
function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let starAt = -1;
  let resumeAt = 0;
  for (let i = 0; i < text.length;) {
    if (pattern[at] === '*') {
      starAt = at;
      at += 1;
      resumeAt = i;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === text[i])) {
      at += 1;
      i += 1;
    } else if (starAt >= 0) {
      at = starAt + 1;
      resumeAt += 1;
      i = resumeAt;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}
