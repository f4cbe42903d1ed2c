/**
 * Runs before a row of warm services is measured, for both sides: an engine compiles what it runs often only after some
 * thousand calls, and until then a run costs LOM and LMM three times of what it costs when they have been up for a while.
 */
export const WARM_RUNS = 2_000;
