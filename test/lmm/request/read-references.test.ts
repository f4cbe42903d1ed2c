import assert from 'node:assert/strict';
import { readReferences } from '../../../services/lmm/request/read-references.js';
import type { Transport } from '../../../services/lmm/transports/transport.js';
import { MediateStart } from '../../../services/shared/gen/rune/v1/lmm.js';

const SSM = { name: 'ssm', resolvesReferences: true } as unknown as Transport;
const SSH = { name: 'ssh' } as unknown as Transport;

function start(params: object, referencedParams: readonly string[]): MediateStart {
  return MediateStart.fromPartial({
    paramsJson: Buffer.from(JSON.stringify(params)),
    referencedParams: [...referencedParams],
  });
}
const write = ({ paramsJson }: MediateStart): Buffer => Buffer.from(`{"ä":${paramsJson.toString()}}`);

describe('the references in the parameters of a run', () => {
  it('have their place in the input, wherever the values stand, and nothing equal to them has', () => {
    const params = { note: 'ssm:/a', token: 'ssm:/a', other: 'ssm:/b/c', n: 12 };
    const { input, references } = readReferences(start(params, ['other', 'token']), SSM, write);
    assert.deepEqual(
      references.map(({ parameter, name }) => [parameter, name]),
      [
        ['token', '/a'],
        ['other', '/b/c'],
      ],
    );
    let filled = input.toString('latin1');
    for (const { start: from, end, name } of references.toReversed())
      filled = `${filled.slice(0, from)}"<${name}>"${filled.slice(end)}`;
    assert.deepEqual(JSON.parse(Buffer.from(filled, 'latin1').toString()), {
      ä: { ...params, token: '</a>', other: '</b/c>' },
    });
  });

  it('leave the input of others as it is written', () => {
    const { input, references } = readReferences(start({ a: 1 }, []), SSH, write);
    assert.deepEqual([input.toString(), references], ['{"ä":{"a":1}}', []]);
  });

  it('are refused where no node looks them up, where there are none, and beyond their number', () => {
    const refused = { name: 'FIELD_MALFORMED' };
    assert.throws(() => readReferences(start({ a: 'ssm:/a' }, ['a']), SSH, write), refused);
    for (const params of [{}, { a: 'x' }, { a: 'ssm:/a b' }, { a: ['ssm:/a'] }])
      assert.throws(() => readReferences(start(params, ['a']), SSM, write), refused);
    const empty = MediateStart.fromPartial({ referencedParams: ['a'] });
    assert.throws(() => readReferences(empty, SSM, write), refused);
    const many = Array.from({ length: 9 }, (_, index) => `p${index}`);
    const params = Object.fromEntries(many.map((name) => [name, 'ssm:/a']));
    assert.throws(() => readReferences(start(params, many), SSM, write), refused);
  });
});
