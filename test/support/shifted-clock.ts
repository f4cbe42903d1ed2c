// Preloaded into a service: its clock is wrong by CLOCK_SHIFT_MS.

const shiftMs = Number(process.env['CLOCK_SHIFT_MS'] ?? 0);
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
