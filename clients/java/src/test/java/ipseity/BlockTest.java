package ipseity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.PrimitiveIterator;
import org.junit.jupiter.api.Test;

class BlockTest {
  @Test
  void a_block_is_one_sequence_apart() {
    Block block = new Block(1025, 3);
    assertEquals(3073, block.last());
    assertEquals(2049, block.get(1));
    assertArrayEquals(new long[] {1025, 2049, 3073}, block.stream().toArray());
    List<Long> all = new ArrayList<>();
    block.forEach(all::add);
    assertEquals(List.of(1025L, 2049L, 3073L), all);
    PrimitiveIterator.OfLong rest = new Block(1025, 1).iterator();
    assertEquals(1025, rest.nextLong());
    assertThrows(NoSuchElementException.class, rest::nextLong);
    assertThrows(IndexOutOfBoundsException.class, () -> block.get(3));
    assertThrows(IndexOutOfBoundsException.class, () -> block.get(-1));
  }

  @Test
  void a_block_is_never_empty_and_never_leaves_the_sequence() {
    assertEquals(Long.MAX_VALUE, new Block(Long.MAX_VALUE, 1).last());
    assertThrows(ConfigurationException.class, () -> new Block(Long.MAX_VALUE, 2));
    assertThrows(ConfigurationException.class, () -> new Block(1025, 0));
    assertThrows(ConfigurationException.class, () -> new Block(1023, 1));
    assertThrows(ConfigurationException.class, () -> new Block(-1025, 1));
  }
}
