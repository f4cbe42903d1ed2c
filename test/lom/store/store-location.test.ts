import assert from 'node:assert/strict';
import { parseStoreLocation } from '../../../services/lom/store/store-location.js';

describe('the setting store', () => {
  for (const [text, path] of [
    ['/var/lib/rune/rune.db', '/var/lib/rune/rune.db'],
    ['sqlite:/var/lib/rune/rune.db', '/var/lib/rune/rune.db'],
    ['sqlite:rune.db', `${process.cwd()}/rune.db`],
    ['./a b.db', `${process.cwd()}/a b.db`],
  ] as const) {
    it(`names a file: ${text}`, () => {
      assert.deepEqual(parseStoreLocation(text), { kind: 'sqlite', path, shown: path });
    });
  }

  for (const [url, shown] of [
    ['postgres://rune:secret@db.example:5433/rune?sslmode=verify-full', 'postgres://db.example:5433/rune'],
    ['postgresql://db.example/rune', 'postgres://db.example/rune'],
    ['postgres://rune:se@cr@et@db.example/rune?password=secret', 'postgres://db.example/rune'],
    ['postgres:///rune?host=/run/postgresql&password=secret', 'postgres:///rune'],
  ] as const) {
    it(`names a database and shows no secret: ${shown}`, () => {
      assert.deepEqual(parseStoreLocation(url), { kind: 'postgres', url, shown });
    });
  }

  for (const text of ['', 'sqlite:', 'mysql://root:secret@db/x', 'sqlite://db', '/var/lib/', 'a\0b']) {
    it(`refuses ${JSON.stringify(text)} without repeating it`, () => {
      assert.throws(
        () => parseStoreLocation(text),
        (error: Error) => error.name === 'CONFIGURATION_INVALID' && !error.message.includes('secret'),
      );
    });
  }
});
