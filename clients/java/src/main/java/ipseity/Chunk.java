package ipseity;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * A block that a source hands out, one after the other, to many threads at once and without a lock.
 * Each thread counts {@code taken} up by one and gets the place that was there before, so all
 * places are different, and they go out in order.
 */
final class Chunk {
  /** What {@code taken} is set to when the rest is dropped. It is beyond every count. */
  private static final long DROPPED = 1L << 40;

  private static final VarHandle TAKEN;

  static {
    try {
      TAKEN = MethodHandles.lookup().findVarHandle(Chunk.class, "taken", long.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  final long first;
  final int count;

  /** When it came, by {@link System#nanoTime}. */
  final long bornAt;

  /** How many must have been taken until the next refill begins. */
  volatile long trigger = Long.MAX_VALUE;

  @SuppressWarnings("unused")
  private volatile long taken;

  Chunk(Block block, long bornAt) {
    this(block.first(), block.count(), bornAt);
  }

  private Chunk(long first, int count, long bornAt) {
    this.first = first;
    this.count = count;
    this.bornAt = bornAt;
  }

  /** A chunk with nothing in it. */
  static Chunk empty() {
    return new Chunk(0, 0, 0);
  }

  /** Takes the next place. If it is not below the count, nothing is left. */
  long take() {
    return (long) TAKEN.getAndAdd(this, 1L);
  }

  /** The identity at a place. */
  long at(long place) {
    return first + place * Identity.STRIDE;
  }

  /** How many have been taken. */
  long taken() {
    return Math.min(taken, count);
  }

  /** How many are left. */
  long left() {
    return count - taken();
  }

  /** Takes all that is left, so that nobody gets it. Returns how many were taken before. */
  long drop() {
    return Math.min((long) TAKEN.getAndSet(this, DROPPED), count);
  }

  int pid() {
    return Identity.pidOf(first);
  }
}
