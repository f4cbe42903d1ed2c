import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ChaosWorld } from './chaos-world.js';
import { descendantsOf, readProcessTable, type ProcessTable } from './node-processes.js';

/** Ids of the living processes of one run. */
export function livingOf(runId: string, { traces }: ChaosWorld, table: ProcessTable): number[] {
  const found = [...table.ofRun(runId), ...traces.of(runId).plugins.filter((each) => table.has(each))];
  return [...new Set(found.map(({ pid }) => pid))];
}

/** What nodes and links still have, in words; empty when everything has ended. */
export async function leftovers(chaos: ChaosWorld): Promise<string[]> {
  const { sshd, services, links, nodes, traces, since, temporaryDirectory } = chaos;
  const table = await readProcessTable(since);
  const runIds = [...traces.runIds()];
  const alive = runIds.flatMap((runId) => livingOf(runId, chaos, table).map((pid) => `${pid} of ${runId}`));
  const ofNodes = new Set([
    ...sshd.descendants(),
    // The other children of a mediator live as long as it does.
    ...services.mediators
      .flatMap(({ process }) => descendantsOf(process.pid))
      .filter(({ command }) => command.startsWith('ssh\0'))
      .map(({ pid }) => pid),
    // Logins have a home below it, and hand that on to whatever they start.
    ...table.withEnvironment(sshd.directory).map(({ pid }) => pid),
  ]);
  ofNodes.delete(sshd.pid);
  const files = nodes.flatMap(({ address }) =>
    readdirSync(temporaryDirectory(address)).map((name) => join(address, name)),
  );
  return [
    ...alive.map((each) => `process ${each}`),
    ...[...ofNodes].map(
      (pid) => `process ${pid}: ${table.get(pid)?.command.replaceAll('\0', ' ').slice(0, 200)}`,
    ),
    ...links.links().map(({ id, address }) => `link ${id} to ${address}`),
    ...files.map((file) => `temporary directory ${file}`),
  ];
}

/** The open descriptors of a process, as "NUMBER what". */
export function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((number) => {
    try {
      return `${number} ${readlinkSync(join(folder, number))}`;
    } catch {
      return []; // It was closed meanwhile.
    }
  });
}
