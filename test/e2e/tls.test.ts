import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '../../services/cli/client.js';
import { RuneError } from '../../services/shared/errors.js';
import { CancelRunRequest, LmmServiceService } from '../../services/shared/gen/rune/v1/lmm.js';
import {
  DeregisterModuleRequest,
  HeartbeatModuleRequest,
  ListModulesRequest,
  RegistryServiceService,
} from '../../services/shared/gen/rune/v1/registry.js';
import { ExecutionState } from '../../services/shared/gen/rune/v1/run.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { createRpcClient, type RpcClient } from '../../services/shared/rpc/rpc-client.js';
import { spawnRune } from '../support/spawn-rune.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { bundleOf, bundleRequest, mediatorRequest, registrationIdOf } from '../support/module-requests.js';
import { createCertificate, type TestCertificate } from '../support/x509.js';
import { runAction } from '../support/run-action.js';
import { startServicePair, type ServicePair } from '../support/service-pair.js';

interface PemFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly made: TestCertificate;
}

describe('with TLS on both ways', () => {
  let directory: string;
  let pair: ServicePair;
  let serverCa: PemFiles;
  let alice: PemFiles;
  let mediator: PemFiles;
  let stranger: PemFiles;

  /** Makes a certificate and writes it where a service can read it. */
  const make = (name: string, issuer?: PemFiles): PemFiles => {
    const made = createCertificate([['CN', name]], issuer?.made);
    const [certFile, keyFile] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
    writeFileSync(certFile, made.certificate);
    writeFileSync(keyFile, made.key, { mode: 0o600 });
    return { certFile, keyFile, made };
  };

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rune-tls-'));
    serverCa = make('server-ca');
    const clientCa = make('client-ca');
    const lomCa = make('lom-ca');
    const [lom, lmm] = [make('lom', serverCa), make('lmm', serverCa)];
    const lomAsClient = make('lom-as-client', lomCa);
    alice = make('alice', clientCa);
    mediator = make('mediator', clientCa);
    const lomAddress = `127.0.0.1:${await freePort()}`;
    stranger = make('stranger', make('other-ca'));
    const tls = (own: PemFiles, clients: PemFiles): Record<string, string> => ({
      cert_file: own.certFile,
      key_file: own.keyFile,
      client_ca_file: clients.certFile,
    });
    pair = await startServicePair({
      directory,
      nodes: { here: { address: 'localhost', transport: 'local' } },
      plugins: [join(packageRoot, 'plugins')],
      // Nothing but its registration tells LOM of the mediator.
      lmm: {
        local_enabled: true,
        known_hosts: [],
        tls: tls(lmm, lomCa),
        lom_addresses: [lomAddress],
        lom_tls: {
          ca_file: serverCa.certFile,
          cert_file: mediator.certFile,
          key_file: mediator.keyFile,
        },
      },
      lom: {
        listen: lomAddress,
        mediators: [],
        modules: { mediator_identities: ['CN=mediator'] },
        tls: tls(lom, clientCa),
        mediator_tls: {
          ca_file: serverCa.certFile,
          cert_file: lomAsClient.certFile,
          key_file: lomAsClient.keyFile,
        },
      },
    });
  });
  after(async () => {
    await pair.lom.stop();
    await pair.lmm.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const refusal = async (calling: Promise<unknown>): Promise<string> => {
    try {
      await calling;
    } catch (error) {
      assert.ok(error instanceof RuneError);
      return error.name;
    }
    return 'accepted';
  };

  /** The registry as whoever has this certificate calls it. */
  const registryAs = (own: PemFiles | undefined): RpcClient<RegistryServiceService> => {
    const shown = own && { certFile: own.certFile, keyFile: own.keyFile };
    const tls = { caFile: serverCa.certFile, ...shown };
    return createRpcClient(RegistryServiceService, { address: pair.lom.address, tls });
  };

  it('a mediator registers by its certificate, and nobody else speaks for it', async () => {
    const request = ListModulesRequest.fromPartial({ moduleType: 2 });
    const [asAlice, asMediator, asStranger, asNobody] = [alice, mediator, stranger, undefined].map(
      registryAs,
    );
    assert.ok(asAlice && asMediator && asStranger && asNobody);
    const registered = await eventually(
      async () => (await asAlice.listModules(request)).modules[0] ?? false,
      { label: 'the mediator to register', pauseMs: 100 },
    );
    const address = registered.registration?.capabilityDeclaration?.serviceMetadata?.address;
    assert.deepEqual([registered.registeredBy, address], ['CN=mediator', pair.lmm.address]);
    const registrationId = registrationIdOf(registered);
    const call = { timeoutMs: 5000 };
    for (const [who, registry, refused] of [
      ['a caller who may run actions', asAlice, 'CALLER_NOT_ALLOWED'],
      ['a foreign certificate', asStranger, 'SERVICE_UNREACHABLE'],
      ['no certificate', asNobody, 'SERVICE_UNREACHABLE'],
    ] as const) {
      const names = [
        await refusal(registry.registerModule(mediatorRequest('lmm'), call)),
        await refusal(registry.heartbeatModule(HeartbeatModuleRequest.fromPartial({ registrationId }), call)),
        await refusal(
          registry.deregisterModule(DeregisterModuleRequest.fromPartial({ registrationId }), call),
        ),
      ];
      assert.deepEqual(names, [refused, refused, refused], who);
    }
    const bundle = bundleRequest(bundleOf('tools', '1.0.0', 'say'));
    assert.equal(await refusal(asMediator.registerModule(bundle, call)), 'CALLER_NOT_ALLOWED');
    for (const registry of [asAlice, asMediator, asStranger, asNobody]) registry.close();
  });

  it('a caller with a certificate runs an action, and its subject is who asked', async () => {
    const client = createClient({
      address: pair.lom.address,
      tls: { caFile: serverCa.certFile, certFile: alice.certFile, keyFile: alice.keyFile },
    });
    const { state, outcomes } = await runAction(client, { action: 'noop', targets: { nodes: ['here'] } });
    client.close();
    assert.equal(outcomes.get('here')?.error?.errorData?.message, undefined);
    assert.equal(state, ExecutionState.SUCCEEDED);
    assert.ok(pair.lom.log.some((line) => line.includes('"triggered_by":"CN=alice"')));
    const ended = '"state":"SUCCEEDED","counts":{"SUCCEEDED":1}';
    await eventually(() => pair.lom.log.some((line) => line.includes(ended)), { label: 'execution ended' });
  });

  it('a caller without a certificate, with a foreign one, or without TLS is refused', async () => {
    const caFile = serverCa.certFile;
    for (const tls of [
      { caFile },
      { caFile, certFile: stranger.certFile, keyFile: stranger.keyFile },
      undefined,
    ]) {
      const client = createClient({ address: pair.lom.address, ...(tls === undefined ? {} : { tls }) });
      assert.equal(await refusal(client.listActions({}, { timeoutMs: 5000 })), 'SERVICE_UNREACHABLE');
      client.close();
    }
  });

  it('the mediator answers its orchestrator and nobody else, not even a known caller', async () => {
    const tls = { caFile: serverCa.certFile, certFile: alice.certFile, keyFile: alice.keyFile };
    const client = createRpcClient(LmmServiceService, { address: pair.lmm.address, tls });
    const call = client.cancelRun(CancelRunRequest.fromPartial({ runId: 'x' }), { timeoutMs: 5000 });
    assert.equal(await refusal(call), 'SERVICE_UNREACHABLE');
    client.close();
  });

  it('the command line takes the certificates from its context', async () => {
    const config = join(directory, 'config', 'rune', 'config.yaml');
    mkdirSync(join(directory, 'config', 'rune'), { recursive: true });
    writeFileSync(
      config,
      [
        'current_context: secure',
        'contexts:',
        '  secure:',
        `    server: ${pair.lom.address}`,
        '    tls:',
        `      ca_file: ${serverCa.certFile}`,
        `      cert_file: ${alice.certFile}`,
        `      key_file: ${alice.keyFile}`,
        '',
      ].join('\n'),
    );
    const rune = spawnRune(['run', 'noop', '--node', 'here'], {
      env: { XDG_CONFIG_HOME: join(directory, 'config') },
    });
    assert.equal(await rune.exited, 0, rune.err());
  });
});
