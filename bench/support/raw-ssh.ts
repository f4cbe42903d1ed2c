import type { Client } from 'ssh2';

/** What every row over SSH is measured against: the least that runs a script with an input and gets an answer. */
const COMMAND = 'exec bash --noprofile --norc -s';
const SCRIPT = "read -r -d '' j; echo '{}'\n";

/** One raw action over an open connection: script and input go up on stdin; resolves when the channel has closed. */
export function runRaw(client: Client, input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.exec(COMMAND, (error, stream) => {
      if (error) return reject(error);
      let answer = '';
      let exitCode: number | null | undefined;
      stream.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      stream.stderr.resume();
      stream.once('exit', (code: number | null) => (exitCode = code));
      stream.once('close', () => {
        if (answer === '{}\n' && exitCode === 0) resolve();
        else reject(new Error(`the raw action answered ${JSON.stringify(answer)} and exit code ${exitCode}`));
      });
      stream.end(SCRIPT + input);
    });
  });
}
