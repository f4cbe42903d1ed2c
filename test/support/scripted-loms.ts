import { type LomScript, type ScriptedLom, startScriptedLom } from './scripted-lom.js';

/** Starts LOMs as startScriptedLom does, and stops them after each test. To be called in a `describe`. */
export function scriptedLoms(): (script: LomScript, listen?: string) => Promise<ScriptedLom> {
  const servers: ScriptedLom[] = [];
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));
  return async (script, listen) => {
    const server = await startScriptedLom(script, listen);
    servers.push(server);
    return server;
  };
}
