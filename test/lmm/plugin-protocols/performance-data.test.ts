import assert from 'node:assert/strict';
import { parsePerformanceData } from '../../../services/lmm/plugin-protocols/performance-data.js';

describe('performance data', () => {
  const cases: [title: string, text: string, items: object[], unread?: string][] = [
    [
      'a figure with everything',
      'time=0.5s;1;2;0;10',
      [{ label: 'time', value: 0.5, unit: 's', warning: '1', critical: '2', minimum: 0, maximum: 10 }],
    ],
    ['nothing', '  \n', []],
    ['a plain number', 'users=3', [{ label: 'users', value: 3, unit: '' }]],
    [
      'several figures',
      'a=1 b=2%\n\tc=3c',
      [
        { label: 'a', value: 1, unit: '' },
        { label: 'b', value: 2, unit: '%' },
        { label: 'c', value: 3, unit: 'c' },
      ],
    ],
    [
      'units',
      's=1s u=1us m=1ms k=1KB g=1MiB',
      ['s', 'us', 'ms', 'KB', 'MiB'].map((unit) => ({
        label: unit === 'MiB' ? 'g' : unit[0] === 'K' ? 'k' : unit === 'ms' ? 'm' : unit[0],
        value: 1,
        unit,
      })),
    ],
    [
      'trailing semicolons',
      'procs=76;1:1000;;0;',
      [{ label: 'procs', value: 76, unit: '', warning: '1:1000', minimum: 0 }],
    ],
    [
      'ranges as they are',
      'x=-1.5;@10:20;~:5',
      [{ label: 'x', value: -1.5, unit: '', warning: '@10:20', critical: '~:5' }],
    ],
    [
      'a value that is not known',
      'x=U;1;2',
      [{ label: 'x', value: null, unit: '', warning: '1', critical: '2' }],
    ],
    [
      'a quoted label',
      "'free space of /srv'=5GB 'it''s'=1 'a=b'=2",
      [
        { label: 'free space of /srv', value: 5, unit: 'GB' },
        { label: "it's", value: 1, unit: '' },
        { label: 'a=b', value: 2, unit: '' },
      ],
    ],
    [
      'exponents',
      'x=1.5e-3s y=.5',
      [
        { label: 'x', value: 0.0015, unit: 's' },
        { label: 'y', value: 0.5, unit: '' },
      ],
    ],
    [
      'words that are none',
      'see the log a=1 b= =2 c=x d=1;2;3;4;5;6 e=1;;;low',
      [{ label: 'a', value: 1, unit: '' }],
      'see the log b= =2 c=x d=1;2;3;4;5;6 e=1;;;low',
    ],
    ['a quote that never ends', "'a=1 b=2", [{ label: 'b', value: 2, unit: '' }], "'a=1"],
    ['an empty label', "''=1 'x'=2", [{ label: 'x', value: 2, unit: '' }], "''=1"],
    ['a number that JSON cannot hold', 'x=1e999 y=1', [{ label: 'y', value: 1, unit: '' }], 'x=1e999'],
    [
      'escape sequences',
      '\u001b[2J=1 x=1\u001b[31m',
      [{ label: '\u001b[2J', value: 1, unit: '' }],
      'x=1\u001b[31m',
    ],
    [
      'a label that is the name of a method',
      '__proto__=1 constructor=2',
      [
        { label: '__proto__', value: 1, unit: '' },
        { label: 'constructor', value: 2, unit: '' },
      ],
    ],
  ];
  for (const [title, text, items, unread = ''] of cases) {
    it(`holds ${title}`, () => assert.deepEqual(parsePerformanceData(text), { items, unread }));
  }

  it('is read up to 1,000 figures; the rest stays text', () => {
    const { items, unread } = parsePerformanceData('x=1 '.repeat(1002));
    assert.equal(items.length, 1000);
    assert.equal(unread, 'x=1 x=1');
  });

  it('that is made to be hard to read takes time that grows with its length alone', () => {
    // Twenty seconds would not do for the square of it.
    const bytes = 512 * 1024;
    for (const piece of ["'", "''", "'a ''b ", "'''a ", 'x=-', '-', 'x=1;', '= ', "'x'=", 'a=1e']) {
      const text = piece.repeat(bytes / piece.length);
      for (const hostile of [text, `'${text}`]) {
        const { items, unread } = parsePerformanceData(hostile);
        assert.ok(items.length <= 1000 && unread.length <= hostile.length);
      }
    }
  });

  it('never throws, whatever the bytes', () => {
    const alphabet = "'=; \n|U1-.e@:~%sB\u001b\ufffd\0";
    let state = 1;
    for (let round = 0; round < 20_000; round += 1) {
      let text = '';
      for (let at = 0; at < 12; at += 1) {
        state = (state * 48_271) % 2_147_483_647;
        text += alphabet[state % alphabet.length];
      }
      for (const { value } of parsePerformanceData(text).items)
        assert.ok(value === null || Number.isFinite(value));
    }
  });
});
