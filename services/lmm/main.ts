#!/usr/bin/env node
import { runService } from '../shared/run-service.js';
import { LMM_SETTINGS } from './config.js';
import { startLmm } from './service.js';

await runService(
  {
    name: 'rune-lmm',
    summary: 'the mediator of RUNE: runs plugins on nodes',
    prefix: 'LMM',
    settings: LMM_SETTINGS,
    start: startLmm,
  },
  { argv: process.argv.slice(2), env: process.env },
);
