#!/usr/bin/env node
import { healthCommand } from '../shared/process/health-command.js';
import { allSettings, runService } from '../shared/process/run-service.js';
import { LOM_SETTINGS } from './config.js';
import { startLom } from './service.js';
import { storeCommand } from './store/store-command.js';

const name = 'rune-lom';
const prefix = 'LOM';
const argv = process.argv.slice(2);
const { env, stdout, stderr } = process;

if (argv[0] === 'store') {
  const invocation = { argv: argv.slice(1), env, stdout, stderr };
  process.exitCode = await storeCommand({ ...LOM_SETTINGS, ...allSettings({}) }, invocation);
} else if (argv[0] === 'health') {
  const invocation = { name, prefix, argv: argv.slice(1), env, stdout, stderr };
  process.exitCode = await healthCommand(LOM_SETTINGS, invocation);
} else {
  // Which versions of Node.js are served is said elsewhere; standard error is for lines of the log.
  env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

  await runService(
    {
      name,
      summary: 'the orchestrator of RUNE: validates, plans and fans out executions',
      prefix,
      commands: ['store check|export [--config FILE]', 'health [--config FILE]'],
      settings: LOM_SETTINGS,
      start: startLom,
    },
    { argv, env },
  );
}
