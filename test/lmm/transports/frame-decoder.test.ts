import assert from 'node:assert/strict';
import { createFrameDecoder, type Frame } from '../../../services/lmm/transports/frame-decoder.js';

const NONCE = '0123456789abcdef0123456789abcdef';
const TOKEN = 'fedcba9876543210fedcba9876543210';
const frame = (words: string): string => `\x1e${NONCE} ${words}\n`;
const STARTED = `\x1e${TOKEN} started\n`;
const END = frame('end exit 3 yes 0 none');

interface Decoded {
  readonly bytes: string;
  readonly frames: readonly Frame[];
  readonly junk: string;
}

function decode(chunks: readonly string[], finish = true): Decoded {
  const bytes: Buffer[] = [];
  const frames: Frame[] = [];
  const decoder = createFrameDecoder({
    nonce: NONCE,
    startToken: TOKEN,
    onBytes: (chunk) => bytes.push(chunk),
    onFrame: (each) => frames.push(each),
  });
  for (const chunk of chunks) decoder.push(Buffer.from(chunk, 'latin1'));
  if (finish) decoder.finish();
  return { bytes: Buffer.concat(bytes).toString('latin1'), frames, junk: decoder.junk().toString('latin1') };
}

const words = (decoded: Decoded): string[] => decoded.frames.map((each) => each.word);

describe('the frame decoder', () => {
  const stream =
    `junk${frame('begin')}${STARTED}half a li${frame('stopping timeout')}ne\n\x1e\x1e${NONCE.slice(0, 9)}` +
    `\x00\xff\x01\x7f${END}late`;
  const expected = `half a line\n\x1e\x1e${NONCE.slice(0, 9)}\x00\xff\x01\x7f`;

  it('takes exactly the frames out, wherever the stream is cut in two', () => {
    for (let at = 0; at <= stream.length; at += 1) {
      const decoded = decode([stream.slice(0, at), stream.slice(at)]);
      assert.equal(decoded.bytes, expected, `cut at ${at}`);
      assert.deepEqual(words(decoded), ['begin', 'started', 'stopping', 'end'], `cut at ${at}`);
      assert.equal(decoded.junk, 'junk', `cut at ${at}`);
    }
  });

  it('takes exactly the frames out of single bytes', () => {
    const decoded = decode(stream.split(''));
    assert.equal(decoded.bytes, expected);
    assert.deepEqual(words(decoded), ['begin', 'started', 'stopping', 'end']);
  });

  it('reads what a node lacks, in place of a begin and never after it', () => {
    const unmet = frame('unmet =010 no debian 12');
    assert.deepEqual(decode([unmet, 'late']).frames, [
      {
        word: 'unmet',
        commandsMissing: [false, true, false],
        isOsMet: false,
        osId: 'debian',
        osVersion: '12',
      },
    ]);
    const forged = decode([frame('begin'), unmet]);
    assert.deepEqual(words(forged), ['begin']);
    assert.equal(forged.bytes, unmet);
  });

  it('reads every field of the end', () => {
    const read = (text: string): Frame | undefined => decode([frame('begin'), frame(text)]).frames[1];
    assert.deepEqual(read('end exit 137 yes 0 none'), {
      word: 'end',
      end: { exitCode: 137 },
      confirmed: true,
      left: 0,
      reason: undefined,
    });
    assert.deepEqual(read('end signal KILL no 12 lease'), {
      word: 'end',
      end: { signal: 'KILL' },
      confirmed: false,
      left: 12,
      reason: 'lease',
    });
    assert.deepEqual(read('stopping cut'), { word: 'stopping', reason: 'cut' });
  });

  it('gives a whole line on at once, with its newline', () => {
    assert.equal(decode([frame('begin'), 'a line\n'], false).bytes, 'a line\n');
  });

  it('gives on what looks like a frame and is none', () => {
    const none = [
      `\x1e${NONCE.replace('0', '1')} end exit 0 yes 0 none\n`,
      frame('end exit 0'),
      frame('end exit 1000 yes 0 none'),
      frame('stopping whatever'),
      frame('started'),
      frame(`end exit 0 yes 0 none${' '.repeat(200)}`),
      `\x1e${NONCE} ${'x'.repeat(5000)}`,
    ];
    for (const text of none) {
      const decoded = decode([frame('begin'), text, END]);
      assert.equal(decoded.bytes, text);
      assert.deepEqual(words(decoded), ['begin', 'end']);
    }
  });

  it('takes words out of order for the plugin’s own bytes', () => {
    const decoded = decode([frame('begin'), frame('begin'), STARTED, STARTED, END, END]);
    assert.deepEqual(words(decoded), ['begin', 'started', 'end']);
    assert.equal(decoded.bytes, frame('begin') + STARTED);
    const early = decode([END, STARTED, frame('stopping cut'), frame('begin')]);
    assert.deepEqual(words(early), ['begin']);
    assert.equal(early.junk, END + STARTED + frame('stopping cut'));
  });

  it('keeps only the end of what comes before begin', () => {
    const decoded = decode(['x'.repeat(100_000), 'last words', frame('begin')]);
    assert.equal(decoded.junk.length, 4096);
    assert(decoded.junk.endsWith('last words'));
    assert.equal(decoded.bytes, '');
  });

  it('gives on what it held back when the stream ends', () => {
    assert.equal(decode([frame('begin'), `x\x1e${NONCE} end ex`]).bytes, `x\x1e${NONCE} end ex`);
  });

  it('is right for any stream in any chunks', () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    const pieces = ['\x1e', NONCE, NONCE.slice(0, 20), ' ', '\n', 'text', '\x00', ' end', TOKEN];
    for (let round = 0; round < 2000; round += 1) {
      let bytes = '';
      let text = frame('begin');
      for (let piece = random(12); piece > 0; piece -= 1) {
        const plain = pieces[random(pieces.length)] ?? '';
        bytes += plain;
        text += plain;
        // After an opening separator and nonce the next bytes would belong to that frame.
        if (random(4) === 0 && !bytes.includes('\x1e')) text += frame('stopping lease');
      }
      const chunks: string[] = [];
      for (let at = 0; at < text.length;) {
        const size = 1 + random(40);
        chunks.push(text.slice(at, at + size));
        at += size;
      }
      const decoded = decode(chunks);
      if (!/\x1e(0123456789abcdef){2} /.test(bytes))
        assert.equal(decoded.bytes, bytes, JSON.stringify(chunks));
    }
  });
});
