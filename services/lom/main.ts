#!/usr/bin/env node
import { allSettings, runService } from '../shared/run-service.js';
import { LOM_SETTINGS } from './config.js';
import { startLom } from './service.js';
import { storeCommand } from './store/store-command.js';

const argv = process.argv.slice(2);
const { env, stdout, stderr } = process;

if (argv[0] === 'store') {
  const invocation = { argv: argv.slice(1), env, stdout, stderr };
  process.exitCode = await storeCommand({ ...LOM_SETTINGS, ...allSettings({}) }, invocation);
} else {
  await runService(
    {
      name: 'rune-lom',
      summary: 'the orchestrator of RUNE: validates, plans and fans out executions',
      prefix: 'LOM',
      commands: ['store check|export [--config FILE]'],
      settings: LOM_SETTINGS,
      start: startLom,
    },
    { argv, env },
  );
}
