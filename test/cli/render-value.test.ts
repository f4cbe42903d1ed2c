import assert from 'node:assert/strict';
import { fitWidth } from '../../services/cli/render/fit-width.js';
import { formatDuration } from '../../services/cli/render/format-duration.js';
import { renderValue } from '../../services/cli/render/render-value.js';

const text = (value: unknown, width = 60) => renderValue(value, width).join('\n');

describe('a result for people', () => {
  it('is one field a line, values aligned', () => {
    assert.equal(
      text({ os: 'Debian 12', cores: 4, virtual: true, gpu: null }),
      ['os:      Debian 12', 'cores:   4', 'virtual: true', 'gpu:     null'].join('\n'),
    );
  });

  it('indents nested objects', () => {
    assert.equal(text({ load: { one: 0.5, five: 1.25 } }), 'load:\n  one:  0.5\n  five: 1.25');
  });

  it('shows uniform objects as a table, numbers to the right', () => {
    const disks = [
      { mount: '/', used: 91 },
      { mount: '/var/log', used: 7 },
    ];
    assert.equal(text({ disks }), 'disks:\n  MOUNT     USED\n  /           91\n  /var/log     7');
  });

  it('shows objects that differ as a list', () => {
    assert.equal(text([{ a: 1 }, { b: [{ c: 2 }, 3] }]), '- a: 1\n- b:\n    - c: 2\n    - 3');
  });

  it('shows a table that is too wide as a list', () => {
    assert.equal(text([{ a: 'x'.repeat(30), b: 'y'.repeat(31) }]).split('\n')[0], `- a: ${'x'.repeat(30)}`);
  });

  it('joins short scalars and lists long ones', () => {
    assert.equal(text({ units: ['nginx', 'ssh'] }), 'units: nginx, ssh');
    assert.equal(text(['x'.repeat(40), 'y'.repeat(40)]), `- ${'x'.repeat(40)}\n- ${'y'.repeat(40)}`);
  });

  it('keeps the lines of a text', () => {
    assert.equal(text({ log: 'one\ntwo\n' }), 'log:\n  one\n  two');
  });

  it('names what is empty', () => {
    assert.equal(text({ a: {}, b: [], c: '' }), 'a: (none)\nb: (none)\nc: ""');
  });

  it('escapes keys, texts and table cells', () => {
    const shown = text({ 'k\x1b[2J': 'v\x1b[31m', rows: [{ 'h\u202e': 'c\x07' }] });
    assert.equal(shown, 'k\\x1b[2J: v\\x1b[31m\nrows:\n  H\\u202e\n  c\\x07');
  });

  it('survives a value of any depth', () => {
    let deep: unknown = 'bottom';
    for (let level = 0; level < 5_000; level += 1) deep = [[deep], 1];
    assert.match(text(deep), /more than 24 levels deep/);
  });
});

describe('durations for people', () => {
  const cases: [number, string][] = [
    [0.25, '0.25 ms'],
    [42, '42 ms'],
    [840, '0.8 s'],
    [9_940, '9.9 s'],
    [9_960, '10 s'],
    [59_600, '1 min'],
    [185_000, '3 min 5 s'],
    [7_200_000, '2 h'],
    [7_860_000, '2 h 11 min'],
  ];
  for (const [ms, expected] of cases) {
    it(`${ms} ms is "${expected}"`, () => assert.equal(formatDuration(ms), expected));
  }
});

describe('a line that must fit a terminal', () => {
  it('is cut by columns, wide characters counted twice', () => {
    assert.equal(fitWidth('abcdef', 4), 'abcd');
    assert.equal(fitWidth('世界世界', 5), '世界');
    assert.equal(fitWidth('short', 80), 'short');
  });
});
