package ipseity;

import java.util.NoSuchElementException;
import java.util.PrimitiveIterator;
import java.util.stream.LongStream;

/**
 * One or more identities of one server: {@code first}, {@code first + 1024}, {@code first + 2048},
 * and so on. They were handed out together, and nobody else has them.
 *
 * @param first the smallest identity. Its sequence is 1 or more
 * @param count how many, 1 or more
 */
public record Block(long first, int count) implements Iterable<Long> {
  /**
   * The block of {@code count} identities from {@code first} on.
   *
   * @param first the smallest identity
   * @param count how many
   * @throws ConfigurationException if it would be empty, begin before sequence 1 or end beyond the
   *     last sequence
   */
  public Block {
    if (count < 1 || !exists(first, count)) {
      throw new ConfigurationException(count + " identities from " + first + " on do not exist");
    }
  }

  /** Whether so many identities exist from this one on. */
  static boolean exists(long first, long count) {
    return first >= Identity.STRIDE && count - 1 <= (Long.MAX_VALUE - first) / Identity.STRIDE;
  }

  /**
   * The greatest identity.
   *
   * @return {@code first} in a block of one
   */
  public long last() {
    return first + (count - 1) * Identity.STRIDE;
  }

  /**
   * One of the identities.
   *
   * @param index 0 to {@code count - 1}
   * @return the identity at this place
   * @throws IndexOutOfBoundsException if there is no such place
   */
  public long get(int index) {
    if (index < 0 || index >= count) {
      throw new IndexOutOfBoundsException("place " + index + " of a block of " + count);
    }
    return first + index * Identity.STRIDE;
  }

  /**
   * The identities in increasing order.
   *
   * @return a stream of {@code count} numbers
   */
  public LongStream stream() {
    return LongStream.range(0, count).map(index -> first + index * Identity.STRIDE);
  }

  /** The identities in increasing order. {@code nextLong} makes no object. */
  @Override
  public PrimitiveIterator.OfLong iterator() {
    return new PrimitiveIterator.OfLong() {
      private int given;

      @Override
      public boolean hasNext() {
        return given < count;
      }

      @Override
      public long nextLong() {
        if (given == count) {
          throw new NoSuchElementException("the block has no more than " + count);
        }
        return first + given++ * Identity.STRIDE;
      }
    };
  }
}
