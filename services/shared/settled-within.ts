/** Waits until the promise has settled, but at most `ms`; true if it has. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const settled = promise.then(
    () => true as const,
    () => true as const,
  );
  const first = await Promise.race([settled, limit]);
  clearTimeout(timer);
  return first;
}
