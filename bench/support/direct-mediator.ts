import type { LomClient } from '../../services/cli/client.js';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LmmServiceService, MediateRequest } from '../../services/shared/gen/rune/v1/lmm.js';
import { RunState, type Outcome } from '../../services/shared/gen/rune/v1/run.js';
import { newId } from '../../services/shared/messages/ids.js';
import { packageRoot } from '../../services/shared/process/package-root.js';
import { createRpcClient } from '../../services/shared/rpc/rpc-client.js';
import type { World } from '../../test/support/world.js';
import { NODE } from './noop.js';

/** Calls the mediator as LOM does. */
export interface DirectMediator {
  /** One `noop`, with nothing between the bench and the mediator; resolves with its outcome. */
  runNoop(): Promise<Outcome>;
  close(): void;
}

/** Makes a client of the world's mediator. */
export async function directMediator({ lmm, client, sshd }: World): Promise<DirectMediator> {
  const blob = async (path: string): Promise<{ sha256: string; content: Buffer }> => {
    const content = await readFile(join(packageRoot, 'plugins', path));
    return { sha256: createHash('sha256').update(content).digest('hex'), content };
  };
  const [script, library] = [await blob('noop/plugin.sh'), await blob('lib/rune_bpcs.sh')];
  const outputSchema = await schemaOf(client);
  const mediator = createRpcClient(LmmServiceService, { address: lmm.address });
  let sent = false;
  return {
    async runNoop() {
      const known = sent;
      sent = true;
      const withContent = (plugin: typeof script): typeof script =>
        known ? { ...plugin, content: Buffer.alloc(0) } : plugin;
      const request = MediateRequest.fromPartial({
        command: {
          $case: 'start',
          value: {
            runId: newId(),
            executionId: newId(),
            attempt: 1,
            action: 'noop',
            plugin: { script: withContent(script), library: withContent(library) },
            target: {
              name: NODE,
              transport: 'ssh',
              address: sshd.host,
              port: sshd.port,
              user: sshd.users.unprivileged,
              hostKeyFingerprints: [...sshd.hostKeyFingerprints],
            },
            paramsJson: Buffer.from('{"message":"ok"}'),
            outputSchema,
          },
        },
      });
      let outcome: Outcome | undefined;
      for await (const { event } of mediator.mediate(request)) {
        if (event?.$case === 'outcome') outcome = event.value;
      }
      if (outcome?.state !== RunState.SUCCEEDED) throw new Error(`noop came to ${JSON.stringify(outcome)}`);
      return outcome;
    },
    close: () => mediator.close(),
  };
}

async function schemaOf(client: LomClient): Promise<string> {
  const { action } = await client.getAction({ action: 'noop' });
  return action?.outputSchema ?? '';
}
