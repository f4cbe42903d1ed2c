import assert from 'node:assert/strict';
import { escapeBytes, escapeJson, escapeText } from '../../services/cli/render/escape-text.js';

describe('text from a node', () => {
  const cases: [string, string, string][] = [
    ['a colour', '\x1b[31mred\x1b[0m', '\\x1b[31mred\\x1b[0m'],
    ['a window title (OSC)', '\x1b]0;pwned\x07', '\\x1b]0;pwned\\x07'],
    ['an 8-bit control sequence', '\u009b2J', '\\x9b2J'],
    ['a carriage return that hides what stood before', 'evil\rgood', 'evil\\x0dgood'],
    ['a newline that forges a line', 'a\nweb02  succeeded', 'a\\x0aweb02  succeeded'],
    ['backspaces', 'abc\b\b', 'abc\\x08\\x08'],
    ['NUL and DEL', '\0\x7f', '\\x00\\x7f'],
    ['a bidirectional override', 'user\u202egnp.exe', 'user\\u202egnp.exe'],
    ['bidirectional isolates', '\u2066x\u2069', '\\u2066x\\u2069'],
    ['zero width characters', 'a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
    ['line separators', 'a\u2028b', 'a\\u2028b'],
    ['tag characters', 'a\u{e0041}', 'a\\u{e0041}'],
    ['half of a surrogate pair', 'a\ud800b', 'a\\ud800b'],
    ['a tab', 'a\tb', 'a    b'],
  ];
  for (const [what, text, expected] of cases) {
    it(`cannot act on a terminal by ${what}`, () => assert.equal(escapeText(text), expected));
  }

  it('keeps letters of every script, emoji and backslashes', () => {
    const text = 'Grüße, 世界, עולם, 👍🏽, C:\\temp';
    assert.equal(escapeText(text), text);
  });

  it('that is not UTF-8 shows its bytes', () => {
    assert.equal(escapeBytes(Buffer.from([0x61, 0xff, 0x1b, 0x0a])), 'a\\xff\\x1b\\x0a');
  });

  it('in JSON means the same after it was made safe', () => {
    const value = { key: 'a\u009b\u202e\u{e0041}\ud800\x7f\u2028', nested: ['\x1b[31m'] };
    const safe = escapeJson(JSON.stringify(value));
    assert.deepEqual(JSON.parse(safe), value);
    assert.match(safe, /^[ -~]*$/);
  });
});
