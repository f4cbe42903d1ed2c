import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { packageRoot } from '../process/package-root.js';

/** The descriptors that `npm run gen` writes: our protocols with everything they import. */
const DESCRIPTOR_SET = 'services/shared/gen/rune.binpb';

/** Adds server reflection (v1 and v1alpha) for these full service names. */
export function addReflection(server: Server, serviceNames: readonly string[]): void {
  const files = readFiles(readFileSync(join(packageRoot, DESCRIPTOR_SET)));
  // The library reads nothing but the descriptors' bytes from a package definition.
  const definition = {
    rune: { format: 'Protocol Buffer 3 EnumDescriptorProto' as const, type: {}, fileDescriptorProtos: files },
  };
  new ReflectionService(definition, { services: [...serviceNames] }).addToServer(server);
}

/** The files of a FileDescriptorSet, each still encoded. */
function readFiles(set: Buffer): Buffer[] {
  const files: Buffer[] = [];
  const reader = new BinaryReader(set);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skip(wireType);
  }
  return files;
}
