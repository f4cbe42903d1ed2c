#!/usr/bin/env node
import { healthCommand } from '../shared/process/health-command.js';
import { runService } from '../shared/process/run-service.js';
import { LMM_SETTINGS } from './config.js';
import { startLmm } from './service.js';

/** After the kill grace: until a node has said how the plugin ended, and the owner has the outcome. */
const LAST_WORDS_MS = 20_000;
const name = 'rune-lmm';
const prefix = 'LMM';
const argv = process.argv.slice(2);
const { env, stdout, stderr } = process;

if (argv[0] === 'health') {
  const invocation = { name, prefix, argv: argv.slice(1), env, stdout, stderr };
  process.exitCode = await healthCommand(LMM_SETTINGS, invocation);
} else {
  // Which versions of Node.js are served is said elsewhere; standard error is for lines of the log.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

  await runService(
    {
      name,
      summary: 'the mediator of RUNE: runs plugins on nodes',
      prefix,
      commands: ['health [--config FILE]'],
      settings: LMM_SETTINGS,
      // Plugins that outlast the grace are stopped, and how that ended is worth waiting for: else their runs are LOST.
      stopMarginMs: ({ killGraceMs }) => killGraceMs + LAST_WORDS_MS,
      start: startLmm,
    },
    { argv, env },
  );
}
