import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LmmServiceService } from '../../../services/shared/gen/rune/v1/lmm.js';
import { bindService } from '../../../services/shared/rpc/rpc-binding.js';
import { createRpcClient } from '../../../services/shared/rpc/rpc-client.js';
import type { ClientTls, ServerTls } from '../../../services/shared/rpc/rpc-tls.js';
import { createCertificate } from '../../support/x509.js';
import { EMPTY_HANDLERS } from '../../support/rpc-pair.js';
import { startIdleServer } from '../../support/idle-server.js';

const PROBE = { header: undefined, target: undefined, connectTimeout: undefined };

describe('TLS', () => {
  let folder: string;
  let files: {
    server: ServerTls;
    mutual: ServerTls;
    client: ClientTls;
    anonymous: ClientTls;
    rogue: ClientTls;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rune-tls-'));
    const write = async (name: string, text: string): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, text, { mode: 0o600 });
      return path;
    };
    const ca = createCertificate([['CN', 'Test CA']]);
    const other = createCertificate([['CN', 'Other CA']]);
    const pair = async (
      name: string,
      subject: Parameters<typeof createCertificate>[0],
      by = ca,
    ): Promise<Required<Pick<ServerTls, 'certFile' | 'keyFile'>>> => {
      const made = createCertificate(subject, by);
      return {
        certFile: await write(`${name}.crt`, made.certificate),
        keyFile: await write(`${name}.key`, made.key),
      };
    };
    const caFile = await write('ca.crt', ca.certificate);
    const server = await pair('server', [['CN', 'rune-lmm']]);
    files = {
      server,
      mutual: { ...server, clientCaFile: caFile },
      client: {
        caFile,
        ...(await pair('client', [
          ['O', 'A,CN=admin'],
          ['CN', 'rune-lom'],
        ])),
      },
      anonymous: { caFile },
      rogue: { caFile, ...(await pair('rogue', [['CN', 'rune-lom']], other)) },
    };
  });
  after(() => rm(folder, { recursive: true }));

  async function identityFor(tls: ServerTls, client: ClientTls): Promise<string> {
    const names: string[] = [];
    const server = await startIdleServer({
      listen: '127.0.0.1:0',
      tls,
      bindings: [
        bindService(LmmServiceService, {
          ...EMPTY_HANDLERS,
          async probeNode(_request, call) {
            names.push(call.identity.name);
            return { header: undefined, lmmInstanceId: '', probe: undefined };
          },
        }),
      ],
    });
    const rpc = createRpcClient(LmmServiceService, { address: server.address, tls: client });
    try {
      await rpc.probeNode(PROBE, { timeoutMs: 5_000 });
    } finally {
      rpc.close();
      await server.stop(0);
    }
    return names.join();
  }

  it('mutual TLS names the peer by its certificate, and a comma cannot forge a part', async () => {
    assert.equal(await identityFor(files.mutual, files.client), 'O=A\\,CN\\=admin,CN=rune-lom');
  });

  it('without a client CA the peer is anonymous, loopback or not', async () => {
    assert.equal(await identityFor(files.server, files.anonymous), 'anonymous');
  });

  it('a client without a certificate, or with one of another CA, is not served', async () => {
    await assert.rejects(identityFor(files.mutual, files.anonymous), { name: 'SERVICE_UNREACHABLE' });
    await assert.rejects(identityFor(files.mutual, files.rogue), { name: 'SERVICE_UNREACHABLE' });
  });

  it('files that cannot be used are named', async () => {
    const missing = { ...files.server, certFile: join(folder, 'none.crt') };
    await assert.rejects(startIdleServer({ tls: missing }), {
      name: 'CONFIGURATION_INVALID',
      message: /none\.crt.*ENOENT/,
    });
    const swapped = { certFile: files.server.keyFile, keyFile: files.server.certFile };
    await assert.rejects(startIdleServer({ tls: swapped }), {
      name: 'CONFIGURATION_INVALID',
      message: /server\.key/,
    });
    const half = { caFile: files.client.caFile, certFile: files.server.certFile };
    assert.throws(() => createRpcClient(LmmServiceService, { address: '127.0.0.1:1', tls: half }), {
      name: 'CONFIGURATION_INVALID',
    });
  });
});
