package ipseity;

/** How much a source takes at a time: as much as the demand. It reads no clock. */
final class Pace {
  private final int most;
  private int size;
  private long last;

  Pace(int most) {
    this.most = most;
  }

  /** The size of the refill that begins now. */
  int next(long now) {
    if (size == 0) {
      size = Math.min(Limits.REFILL_FIRST, most);
    } else if (now - last < Limits.REFILL_SOON_NANOS) {
      size = (int) Math.min(2L * size, most);
    } else if (now - last > Limits.REFILL_LATE_NANOS) {
      size = Math.max(size / 2, Math.min(Limits.REFILL_FIRST, most));
    }
    last = now;
    return size;
  }
}
