import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { addAbortSignal, type Readable } from 'node:stream';

/** Reads objects of S3 as one identity. */
export interface ObjectReader {
  /** The first `bytesMax` bytes of an object, read until the signal aborts. Rejects with what the SDK throws; NoSuchKey where there is none. */
  read(bucket: string, key: string, bytesMax: number, signal: AbortSignal): Promise<Buffer>;
  close(): void;
}

/** S3 through the AWS SDK, which is loaded only here and only now. A bucket may be in another region than the client. */
export async function createObjectReader(config: S3ClientConfig): Promise<ObjectReader> {
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
  const client = new S3Client({ ...config, followRegionRedirects: true });
  return {
    async read(bucket, key, bytesMax, signal) {
      const { Body } = await client.send(
        new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=0-${bytesMax - 1}` }),
        { abortSignal: signal },
      );
      const chunks: Buffer[] = [];
      let count = 0;
      // The SDK's own limits end with the headers of the answer.
      const body = addAbortSignal(signal, Body as Readable) as AsyncIterable<Buffer>;
      for await (const chunk of body) {
        // What answers need not keep to the range; leaving the loop ends the connection.
        chunks.push(chunk.subarray(0, bytesMax - count));
        count += chunk.length;
        if (count >= bytesMax) break;
      }
      return Buffer.concat(chunks);
    },
    close: () => client.destroy(),
  };
}
