// Preloaded into a service: its clock is wrong by CLOCK_SHIFT_MS, and each SIGUSR2 sets it by CLOCK_JUMP_MS more. Timers and clocks
// that nobody can set go on as they are.

const jumpMs = Number(process.env['CLOCK_JUMP_MS'] ?? 0);
let shiftMs = Number(process.env['CLOCK_SHIFT_MS'] ?? 0);
const TrueDate = Date;

class ShiftedDate extends TrueDate {
  constructor(...parts: [] | [number | string]) {
    super(parts[0] ?? TrueDate.now() + shiftMs);
  }

  static override now(): number {
    return TrueDate.now() + shiftMs;
  }
}

Reflect.set(globalThis, 'Date', ShiftedDate);
process.on('SIGUSR2', () => {
  shiftMs += jumpMs;
  process.stderr.write('the clock was set\n');
});
