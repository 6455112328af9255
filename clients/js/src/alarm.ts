/** Waiting for a time to be over. */

/**
 * Calls a function once when the time is over, unless it was stopped before.
 *
 * A program that was busy itself must not blame a server. While it computes nothing is read, and then all times
 * that are over ring at once. So whoever is rung first lets the event loop read what has come in the meantime, and
 * only then is the function called.
 */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  /**
   * Begins to wait for so many milliseconds. One that keeps alive does not let the process end before it has rung or
   * was stopped.
   */
  constructor(ms: number, keepsAlive: boolean, ring: () => void) {
    this.#ring = ring;
    this.#timer = setTimeout(() => {
      this.#lookOnce();
    }, ms);
    if (!keepsAlive) {
      this.#timer.unref();
    }
  }

  /** Begins to wait again, for the whole time. It does nothing once it has rung or was stopped. */
  restart(): void {
    if (this.#immediate !== undefined) {
      clearImmediate(this.#immediate);
      this.#immediate = undefined;
    }
    this.#timer?.refresh();
  }

  /** Stops it for good. */
  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  #lookOnce(): void {
    // It is never unreferenced: the event loop would sleep over it.
    this.#immediate = setImmediate(() => {
      this.stop();
      this.#ring();
    });
  }
}
