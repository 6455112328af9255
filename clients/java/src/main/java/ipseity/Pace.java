package ipseity;

/** How much a source takes at a time: as much as the demand. It reads no clock. */
final class Pace {
  private final int most;
  private int size;
  private long last;
  private long droppedBefore;

  Pace(int most) {
    this.most = most;
  }

  /**
   * The size of the refill that begins now, when so many identities were dropped since the
   * beginning.
   */
  int next(long now, long dropped) {
    int least = Math.min(Limits.REFILL_FIRST, most);
    if (size == 0) {
      return least;
    }
    // What was dropped is gone sooner, but nobody has used it.
    if (now - last < Limits.REFILL_SOON_NANOS && dropped == droppedBefore) {
      return (int) Math.min(2L * size, most);
    }
    return now - last > Limits.REFILL_LATE_NANOS ? Math.max(size / 2, least) : size;
  }

  /**
   * A refill has brought something that had begun at this time, when so many had been dropped. One
   * that failed is no demand.
   */
  void succeeded(long began, int asked, long dropped) {
    last = began;
    size = asked;
    droppedBefore = dropped;
  }
}
