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
    int least = Math.min(Limits.REFILL_FIRST, most);
    if (size == 0) {
      return least;
    }
    if (now - last < Limits.REFILL_SOON_NANOS) {
      return (int) Math.min(2L * size, most);
    }
    return now - last > Limits.REFILL_LATE_NANOS ? Math.max(size / 2, least) : size;
  }

  /** A refill that had begun at this time has brought something. One that failed is no demand. */
  void succeeded(long began, int asked) {
    last = began;
    size = asked;
  }
}
