package ipseity;

/** Times on the monotonic clock. They wrap, so they are only compared by their difference. */
final class Clock {
  private Clock() {}

  static long now() {
    return System.nanoTime();
  }

  /** What is left until a time, in nanoseconds; negative once it is over. */
  static long left(long until) {
    return until - now();
  }

  /** The earlier of two times. */
  static long earlier(long one, long other) {
    return one - other < 0 ? one : other;
  }

  /** The later of two times. */
  static long later(long one, long other) {
    return one - other > 0 ? one : other;
  }

  /**
   * A time span for a socket: whole milliseconds, rounded up, at least 1, because 0 is no limit.
   */
  static int millis(long nanos) {
    return (int) Math.max(1, Math.min(Integer.MAX_VALUE, (nanos + 999_999) / 1_000_000));
  }

  /** A time span in words. */
  static String words(long nanos) {
    return millis(nanos) + " ms";
  }
}
