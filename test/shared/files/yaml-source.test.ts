import assert from 'node:assert/strict';
import { readYaml } from '../../../services/shared/files/yaml-source.js';

const read = (text: string | Buffer): ReturnType<typeof readYaml> => readYaml(Buffer.from(text), 'x.yaml');

/** Faults as `line description`. */
const faults = (text: string | Buffer): string[] =>
  read(text).faults.map(({ line, description }) => `${line} ${description}`);

describe('YAML source', () => {
  it('is plain data', () => {
    const { value } = read('a: 1\nb: [x, true, null, 1.5]\nc:\n  yes: no\n1: one\n');
    assert.deepEqual(value, { a: 1, b: ['x', true, null, 1.5], c: { yes: 'no' }, '1': 'one' });
  });

  it('may be empty', () => assert.equal(read('').value, null));

  it('knows the line of each part, and of the nearest part around what is missing', () => {
    const source = read('# comment\na:\n  b:\n    - x\n    - y: 1\n      z: 2\nc: {d: [1,\n  2]}\n');
    const lines: [path: (string | number)[], line: number][] = [
      [[], 2],
      [['a'], 2],
      [['a', 'b'], 3],
      [['a', 'b', 0], 4],
      [['a', 'b', 1, 'y'], 5],
      [['a', 'b', 1, 'z'], 6],
      [['a', 'b', 1, 'none', 'deeper'], 5],
      [['a', 'b', 9], 3],
      [['c', 'd', 1], 8],
    ];
    for (const [path, line] of lines) assert.equal(source.lineOf(path), line, path.join('.'));
  });

  const refused: [title: string, text: string | Buffer, expected: string[]][] = [
    ['an alias', 'a: &x [1]\nb: *x\n', ['2 holds an alias, and aliases are not supported']],
    ['a structure that contains itself', 'a: &x [*x]\n', ['1 holds an alias, and aliases are not supported']],
    [
      'an unknown tag',
      'a: 1\nb: !!js/function "x"\n',
      ['2 is not valid YAML: Unresolved tag: tag:yaml.org,2002:js/function'],
    ],
    ['several documents', 'a: 1\n---\nb: 1\n', ['2 holds more than one document']],
    ['another version of YAML', '%YAML 1.1\n---\na: yes\n', ['1 must be YAML 1.2']],
    [
      'binary values',
      'a: !!binary aGk=\n',
      ['1 is not valid YAML: Unresolved tag: tag:yaml.org,2002:binary'],
    ],
    ['lists without end', `a: 1\nb: ${'['.repeat(200_000)}`, ['2 is nested deeper than 100 levels']],
    ['maps without end', '{a: '.repeat(200_000), ['1 is nested deeper than 100 levels']],
    ['blocks without end', '- '.repeat(200_000), ['1 is nested deeper than 100 levels']],
    ['bytes that are not UTF-8', Buffer.from([0x61, 0x3a, 0xff]), ['1 is not UTF-8']],
  ];
  for (const [title, text, expected] of refused) {
    it(`refuses ${title}`, () => {
      assert.deepEqual(faults(text), expected);
      assert.equal(read(text).value, undefined);
    });
  }

  it('refuses a key given twice, and can still be looked at for more', () => {
    const text = 'a: 1\nb:\n  c: {d: 1}\n  c: {d: 2}\n';
    assert.deepEqual(faults(text), ['4 holds the key "c" twice']);
    assert.deepEqual(read(text).value, { a: 1, b: { c: { d: 2 } } });
    assert.equal(read(text).lineOf(['b', 'c', 'd']), 4);
  });

  it('refuses a key that is no text', () => {
    assert.match(faults('? [a, b]\n: 1\n')[0] ?? '', /^1 is not valid YAML: /);
  });

  it('takes << for an ordinary key', () => assert.deepEqual(read('<<: {a: 1}\n').value, { '<<': { a: 1 } }));

  it('names the line of a syntax error', () => {
    const [fault] = faults('a: 1\nb: [1\nc: 2\n');
    assert.match(fault ?? '', /^3 is not valid YAML: /);
  });

  it('keeps __proto__ an ordinary key', () => {
    const value = read('__proto__: {x: 1}\n').value as Record<string, unknown>;
    assert(Object.hasOwn(value, '__proto__'));
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });
});
