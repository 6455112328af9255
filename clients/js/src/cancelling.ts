/** Being told that a signal was aborted. */

/** Those who want to be told, for each signal. */
const told = new Map<AbortSignal, { readonly all: Set<() => void>; readonly tell: () => void }>();

/**
 * Calls a function when the signal is aborted, and returns a function that ends that.
 *
 * A program may give one signal to thousands of calls. Node.js takes eleven listeners at one signal for a leak and
 * warns, so they share one. It is removed with the last of them.
 */
export function onAbort(signal: AbortSignal, cancel: () => void): () => void {
  let entry = told.get(signal);
  if (entry === undefined) {
    const all = new Set<() => void>();
    const tell = (): void => {
      told.delete(signal);
      for (const each of all) {
        each();
      }
    };
    entry = { all, tell };
    told.set(signal, entry);
    signal.addEventListener('abort', tell, { once: true });
  }
  const { all, tell } = entry;
  all.add(cancel);
  return () => {
    if (all.delete(cancel) && all.size === 0 && told.get(signal)?.all === all) {
      told.delete(signal);
      signal.removeEventListener('abort', tell);
    }
  };
}
