#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadProgram } from './load-program.js';

const program = fileURLToPath(new URL('program.cjs', import.meta.url));
const code = `${program}.code`;
loadProgram(program, existsSync(code) ? readFileSync(code) : undefined).start();
