import { request } from 'node:https';
import { readSourceFile } from '../../shared/files/source-file.js';
import type { FileReading } from '../../shared/files/source-file.js';
import type { UrlSource } from './source-config.js';

const CA_BYTES_MAX = 1024 * 1024;
const TOKEN_BYTES_MAX = 16 * 1024;

/** Fetches the address by GET. Only 200 is an inventory: a redirect is not followed. */
export async function readUrl(
  { url, caFile, tokenFile }: UrlSource,
  limits: { readonly timeoutMs: number; readonly bytesMax: number },
): Promise<FileReading> {
  // Read each time, so that both can be replaced while the service runs.
  const ca = caFile === undefined ? undefined : await readSourceFile(caFile, { bytesMax: CA_BYTES_MAX });
  if (ca !== undefined && 'refusal' in ca) return { refusal: `cannot be fetched: ${caFile} ${ca.refusal}` };
  const token =
    tokenFile === undefined ? undefined : await readSourceFile(tokenFile, { bytesMax: TOKEN_BYTES_MAX });
  if (token !== undefined && 'refusal' in token)
    return { refusal: `cannot be fetched: ${tokenFile} ${token.refusal}` };
  const headers = {
    accept: 'application/json, application/yaml',
    ...(token === undefined ? {} : { authorization: `Bearer ${token.bytes.toString().trim()}` }),
  };
  return new Promise((resolve) => {
    const signal = AbortSignal.timeout(limits.timeoutMs);
    const options = { headers, signal, agent: false, ...(ca === undefined ? {} : { ca: ca.bytes }) };
    const refuse = (error: NodeJS.ErrnoException): void =>
      resolve({
        refusal: signal.aborted
          ? `did not answer within ${limits.timeoutMs / 1000} s`
          : `cannot be fetched (${error.code ?? 'unknown fault'})`,
      });
    try {
      const call = request(url, options, (answer) => {
        const chunks: Buffer[] = [];
        let length = 0;
        answer.on('error', refuse);
        answer.on('data', (chunk: Buffer) => {
          length += chunk.length;
          chunks.push(chunk);
          if (length <= limits.bytesMax) return;
          resolve({ refusal: `is larger than ${limits.bytesMax} bytes` });
          call.destroy();
        });
        answer.on('end', () => {
          if (answer.statusCode === 200) resolve({ bytes: Buffer.concat(chunks) });
          else resolve({ refusal: `answered ${answer.statusCode}` });
        });
      });
      call.on('error', refuse);
      call.end();
    } catch (thrown) {
      // Such as a token with a line break in it; the library's own text would show it.
      refuse(thrown as NodeJS.ErrnoException);
    }
  });
}
