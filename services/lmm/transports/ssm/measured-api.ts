import { SsmFault, type SsmApi, type SsmFaultKind } from './ssm-api.js';

/** Hears of the end of each request: which call of SsmApi, what became of it, and how long it took. */
export type OnSsmCall = (call: string, result: 'ok' | SsmFaultKind, seconds: number) => void;

/** The same requests, each of which is told of. */
export function measuredApi(api: SsmApi, onCall: OnSsmCall): SsmApi {
  const measured = ([name, call]: [string, (...words: never[]) => Promise<unknown>]): [string, unknown] => {
    const measure = async (...words: never[]): Promise<unknown> => {
      const startedMs = performance.now();
      const tell = (result: Parameters<OnSsmCall>[1]): void =>
        onCall(name, result, (performance.now() - startedMs) / 1000);
      try {
        const answer = await call(...words);
        tell('ok');
        return answer;
      } catch (thrown) {
        tell(thrown instanceof SsmFault ? thrown.kind : 'unknown');
        throw thrown;
      }
    };
    return [name, measure];
  };
  const { close, ...requests } = api;
  // All that is left are requests.
  return { ...Object.fromEntries(Object.entries(requests).map(measured)), close } as unknown as SsmApi;
}
