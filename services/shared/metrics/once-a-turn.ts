/** Reads something once for all who ask in the same turn of the event loop, as the readers of one scrape do. */
export function onceATurn<Value>(read: () => Value): () => Value {
  let last: { readonly value: Value } | undefined;
  return () => {
    if (last === undefined) {
      last = { value: read() };
      queueMicrotask(() => (last = undefined));
    }
    return last.value;
  };
}
