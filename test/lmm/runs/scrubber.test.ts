import assert from 'node:assert/strict';
import { createScrubber } from '../../../services/lmm/runs/scrubber.js';

/** What a stream passes on of a text that comes in these chunks. */
function passed(secrets: readonly string[], chunks: readonly (string | Buffer)[]): string[] {
  const stream = createScrubber(secrets).stream();
  return [...chunks.map((chunk) => stream.write(Buffer.from(chunk))), stream.end()].map(String);
}

describe('what a plugin prints', () => {
  it('has no secrets, wherever they stand and however its chunks part them', () => {
    const text = 'Zoë says hunter2hunter2, not hunter, nor "hunter2".';
    const clean = 'Zoë says [redacted][redacted], not hunter, nor "[redacted]".';
    const bytes = Buffer.from(text);
    for (let first = 0; first <= bytes.length; first++) {
      for (const second of [first, first + 1, first + 3, bytes.length]) {
        const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        const stream = createScrubber(['hunter2']).stream();
        const parts = [...chunks.map((chunk) => stream.write(chunk)), stream.end()];
        assert.equal(Buffer.concat(parts).toString(), clean, `${first}, ${second}`);
      }
    }
    assert.equal(createScrubber(['hunter2']).text(text), clean);
  });

  it('is held back only where it may be the start of a secret, and not beyond its end', () => {
    assert.deepEqual(passed(['hunter2'], ['say hun', 'ger\n', 'hunter']), ['say ', 'hunger\n', '', 'hunter']);
  });

  it('has no secret that is the start of another one, nor the rest of that', () => {
    assert.deepEqual(passed(['abcd', 'abcdefgh'], ['abcd', 'efgh abcd', 'ef!']), [
      '',
      '[redacted] ',
      '[redacted]ef!',
      '',
    ]);
  });

  it('has no secret as JSON writes it, and no line of one that has several', () => {
    const key = '-----BEGIN\nMIIE "x"\r\n-----END';
    const scrubber = createScrubber([key]);
    for (const text of [key, JSON.stringify(key).slice(1, -1), 'MIIE "x"', '-----END'])
      assert.equal(scrubber.text(`<${text}>`), '<[redacted]>');
    assert.equal(scrubber.text(JSON.stringify('MIIE "x"')), '"[redacted]"');
  });

  it('has nothing of a long secret, which is taken out in pieces', () => {
    const secret = Array.from({ length: 3000 }, (_, index) => `${index}.`).join('');
    assert.match(createScrubber([secret]).text(`a${secret}b`), /^a(\[redacted\])+b$/);
    assert.match(
      passed([secret], [`a${secret.slice(0, 1500)}`, `${secret.slice(1500)}b`]).join(''),
      /^a(\[redacted\])+b$/,
    );
  });

  it('stays as it is where a secret is shorter than four bytes, also where it is no text', () => {
    const bytes = Buffer.from([0, 255, 254, 10, 128]);
    const scrubber = createScrubber(['', 'abc', 'hunter2']);
    assert.equal(scrubber.text('abc'), 'abc');
    assert.deepEqual(scrubber.bytes(bytes), bytes);
    assert.deepEqual(scrubber.stream().write(bytes), bytes);
  });

  it('takes a secret for nothing but its characters', () => {
    const secret = String.raw`^(a|b)*[c]{2}\d.$`;
    assert.equal(createScrubber([secret]).text(`x${secret}x aacc`), 'x[redacted]x aacc');
  });

  it('is the same in a stream as in one piece, whatever the secrets', () => {
    let seed = 7;
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const word = (length: number): string => Array.from({ length }, () => 'ab'[random(2)]).join('');
    for (let round = 0; round < 300; round++) {
      const secrets = Array.from({ length: 1 + random(3) }, () => word(4 + random(5)));
      const chunks = Array.from({ length: 8 }, () => word(random(9)));
      const whole = createScrubber(secrets).text(chunks.join(''));
      assert.equal(passed(secrets, chunks).join(''), whole, JSON.stringify([secrets, chunks]));
    }
  });
});
