package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class IdentityTest {
  @Test
  void an_identity_is_a_sequence_above_ten_bits_of_pid() {
    Identity identity = Identity.of(1, 1);
    assertEquals(1025, identity.value());
    assertEquals(Long.MAX_VALUE, Identity.of(Identity.SEQUENCE_MAX, Identity.PID_MAX).value());
    assertEquals(Identity.SEQUENCE_MAX, Identity.sequenceOf(Long.MAX_VALUE));
    assertEquals(Identity.PID_MAX, Identity.pidOf(Long.MAX_VALUE));
    assertThrows(ConfigurationException.class, () -> Identity.of(Identity.SEQUENCE_MAX + 1, 0));
    assertThrows(ConfigurationException.class, () -> Identity.of(1, 1024));
    assertThrows(ConfigurationException.class, () -> Identity.of(-1, 0));
    assertThrows(ConfigurationException.class, () -> new Identity(-1));
  }

  @Test
  void every_form_is_read_as_it_is_written() {
    Random random = new Random(7);
    for (int i = 0; i < 1000; i++) {
      Identity identity = new Identity(random.nextLong() >>> 1 + random.nextInt(50));
      assertEquals(identity, Identity.parse(identity.decimal()));
      assertEquals(identity, Identity.parse(identity.hex()));
      assertEquals(identity, Identity.parse(identity.pair()));
      assertEquals(identity, Identity.parseBase32(identity.base32()));
      assertEquals(13, identity.base32().length());
    }
    Identity identity = new Identity(1025);
    assertEquals("1025", identity.toString());
    assertEquals("0x401", identity.hex());
    assertEquals("1:1", identity.pair());
    assertEquals("0000000000101", identity.base32());
  }

  @Test
  void base32_sorts_as_the_numbers_do() {
    Random random = new Random(8);
    for (int i = 0; i < 1000; i++) {
      Identity one = new Identity(random.nextLong() >>> 1 + random.nextInt(60));
      Identity other = new Identity(random.nextLong() >>> 1 + random.nextInt(60));
      assertEquals(
          Integer.signum(one.compareTo(other)),
          Integer.signum(one.base32().compareTo(other.base32())));
    }
  }

  @Test
  void base32_reads_what_people_mistake() {
    assertEquals(1025, Identity.parseBase32("OOOOOooooolo1").value());
    assertEquals(Identity.parseBase32("7ZZZZZZZZZZZZ"), new Identity(Long.MAX_VALUE));
    assertEquals(Identity.parseBase32("7zzzzzzzzzzzz"), new Identity(Long.MAX_VALUE));
    for (String text :
        List.of(
            "",
            "101",
            "8000000000000",
            "00000000001-1",
            "U000000000000",
            "00000000000001",
            "000000000010\u0131")) {
      assertThrows(ConfigurationException.class, () -> Identity.parseBase32(text), text);
    }
  }

  @Test
  void what_is_no_identity_is_refused_with_a_reason() {
    for (String text :
        List.of(
            "",
            " 1",
            "1 ",
            "+1",
            "-1",
            "1.0",
            "0x",
            "0x-1",
            "x401",
            "1:",
            ":1",
            "1:1:1",
            "1:1024",
            "9007199254740992:0",
            "9223372036854775808",
            "0x8000000000000000",
            "\u0661",
            "1e3",
            "99999999999999999999999999",
            "1:99999999999999999999")) {
      ConfigurationException e =
          assertThrows(ConfigurationException.class, () -> Identity.parse(text), text);
      assertTrue(e.getMessage().contains(" is no identity: "), e.getMessage());
    }
    ConfigurationException odd =
        assertThrows(ConfigurationException.class, () -> Identity.parse("\u001b[2J\n"));
    assertFalse(odd.getMessage().contains("\u001b") || odd.getMessage().contains("\n"));
    assertEquals(1025, Identity.parse("0X401").value());
    assertEquals(7, Identity.parse("007").value());
  }
}
