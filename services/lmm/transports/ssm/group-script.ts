import { gzipSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import { encodeUploadParts } from '../encode-upload.js';
import { remoteCommand } from '../remote-command.js';
import type { NodeCommand } from '../transport.js';
import { BASE64_LINE, leaseMsOf, roomsOf, type ScriptLimits } from './command-script.js';
import { sizeOf, type NodeScript } from './node-script.js';

/** A run and the instance of its node. */
export interface GroupMember {
  readonly command: NodeCommand;
  readonly instanceId: string;
}

/**
 * The script that one command of Systems Manager runs on many instances, each of which picks its own run by its id. The runs have no references and share
 * their sharingKey, and no two of them an instance. Undefined if it is longer than `bytesMax`.
 */
export function groupScript(members: readonly GroupMember[], limits: ScriptLimits): NodeScript | undefined {
  const [first] = members as readonly [GroupMember];
  const parts = members.map(({ command }) => encodeUploadParts(command, leaseMsOf(command)));
  const blobs: Buffer[] = [];
  let bytes = 0;
  /** Adds a part, and answers where it begins and how long it is. */
  const add = (part: Buffer): string => {
    const place = `${bytes} ${part.length}`;
    blobs.push(part);
    bytes += part.length;
    return place;
  };
  // What is alike stands together, so that it is compressed well.
  const heads = parts.map(({ head }) => add(head));
  const shared = add(Buffer.concat(parts[0]?.shared ?? []));
  const inputs = parts.map(({ input }) => add(input));
  const uploads = gzipSync(Buffer.concat(blobs), { level: 9 }).toString('base64');
  const lines = [
    // None of them has references.
    `${roomsOf(limits)} 0 0`,
    Buffer.from(remoteCommand(first.command)).toString('base64'),
    shared,
    ...members.map(({ command, instanceId }, index) => {
      const { nonce = '', startToken = '' } = parts[index] ?? {};
      return [command.runId, nonce, startToken, instanceId, heads[index], inputs[index]].join(' ');
    }),
    '',
    ...(uploads.match(BASE64_LINE) ?? []),
  ];
  const script: NodeScript = { kind: 'group', lines };
  return sizeOf(script, limits.form) <= limits.bytesMax ? script : undefined;
}

/** The line of a group's script that is for a run begins so, and no other line does. */
export function holdsRun(script: string, runId: string): boolean {
  return script.includes(`\n${runId} `);
}

/** Runs of one dispatch group with the same key can go to their nodes with one script and one limit of time. */
export function sharingKey(command: NodeCommand): string {
  const hash = createHash('sha256');
  for (const part of encodeUploadParts(command, leaseMsOf(command)).shared)
    hash.update(`${part.length} `).update(part);
  const { timeoutMs, killGraceMs } = command;
  return hash.update(JSON.stringify([remoteCommand(command), timeoutMs, killGraceMs])).digest('hex');
}
