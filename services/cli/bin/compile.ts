import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadProgram } from './load-program.js';

// Part of the build: starts the program once and keeps what the engine compiled for it.
const [file = ''] = process.argv.splice(2, 1, '--version');
const program = loadProgram(resolve(file));
process.on('exit', (exitCode) => {
  if (exitCode === 0) writeFileSync(`${file}.code`, program.code());
});
program.start();
