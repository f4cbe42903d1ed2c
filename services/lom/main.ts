#!/usr/bin/env node
import { runService } from '../shared/run-service.js';
import { LOM_SETTINGS } from './config.js';
import { startLom } from './service.js';

await runService(
  {
    name: 'rune-lom',
    summary: 'the orchestrator of RUNE: validates, plans and fans out executions',
    prefix: 'LOM',
    settings: LOM_SETTINGS,
    start: startLom,
  },
  { argv: process.argv.slice(2), env: process.env },
);
