import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { findNewerSyntax } from '../../../services/cli/plugin/lint/newer-syntax.js';
import { encodeSpareShell, encodeUpload } from '../../../services/lmm/transports/encode-upload.js';
import { NO_LIBRARY } from '../../../services/lmm/transports/sent-library.js';
import { nodeOf } from '../../support/links.js';
import { commandFor } from '../../support/run-plugin.js';

const NODE = nodeOf({ kind: 'local' });

describe('the upload', () => {
  it('counts the body and puts library, script and input behind it as they are', () => {
    const command = commandFor(NODE, 'the script', { library: 'the library', input: '{"a":"\'$(x)"}' });
    const { bytes, nonce, startToken } = encodeUpload(command, 15_000);
    const text = bytes.toString('latin1');
    const size = Number(/^RUNE1:(\d{8})/.exec(text)?.[1]);
    const body = text.slice(14, 14 + size);
    assert.equal(text.slice(14 + size), 'the librarythe script{"a":"\'$(x)"}');
    assert(
      body.includes(`NONCE=${nonce} TOKEN=${startToken} `) && body.includes(` RUN_ID=${command.runId} `),
    );
    for (const hidden of ['the script', 'the library', '$(x)']) assert(!body.includes(hidden));
  });

  it('has another nonce and another token each time', () => {
    const command = commandFor(NODE, '');
    const uploads = [encodeUpload(command, 15_000), encodeUpload(command, 15_000)];
    assert.equal(new Set(uploads.flatMap((upload) => [upload.nonce, upload.startToken])).size, 4);
  });

  it('carries a supervisor without comments that bash can read, from 4.2 on', () => {
    const uploads = [false, true].map((systemdScope) =>
      encodeUpload(commandFor(NODE, '', { systemdScope }), 15_000),
    );
    const bodies = [...uploads, encodeSpareShell(NO_LIBRARY, 1_000)].map(({ bytes }) =>
      bytes.subarray(14, 14 + Number(bytes.subarray(6, 14))),
    );
    for (const body of bodies) {
      assert.doesNotMatch(body.toString(), /^\s*#/m);
      execFileSync('bash', ['-n'], { input: body });
      assert.deepEqual(findNewerSyntax(`#!/bin/bash\n${body.toString()}`), []);
    }
    const parts = bodies.map((body) => [body.includes('systemd-run'), body.includes('await_run()')]);
    assert.deepEqual(parts, [
      [false, false],
      [true, false],
      [false, true],
    ]);
  });
});
