/**
 * Does `total` actions with `width` of them in flight at any time; resolves with how many ended a second. Each action gets the
 * number of its lane, 0 to width - 1.
 */
export async function inFlight(
  width: number,
  total: number,
  action: (lane: number) => Promise<unknown>,
): Promise<number> {
  let left = total;
  const startedMs = performance.now();
  const work = async (lane: number): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await action(lane);
    }
  };
  await Promise.all(Array.from({ length: width }, (_, lane) => work(lane)));
  return total / ((performance.now() - startedMs) / 1000);
}
