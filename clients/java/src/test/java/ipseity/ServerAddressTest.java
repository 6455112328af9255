package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ServerAddressTest {
  @ParameterizedTest
  @CsvSource({
    "127.0.0.1:1, 127.0.0.1:1",
    "127.0.0.1, 127.0.0.1:3264",
    "[::1], [::1]:3264",
    "::1, [::1]:3264",
    "fe80::1, [fe80::1]:3264",
    "[fe80::1%eth0]:1, [fe80::1%eth0]:1",
    "::ffff:1.2.3.4, [::ffff:1.2.3.4]:3264",
    "1:2:3:4:5:6:7:8, [1:2:3:4:5:6:7:8]:3264",
    "ids:65535, ids:65535",
    "ids:00080, ids:80",
    "tls://ids:1, tls://ids:1",
    "tls://::1, tls://[::1]:3264",
    "grüße.example, grüße.example:3264"
  })
  void what_is_shown_is_what_is_read(String text, String shown) {
    ServerAddress address = ServerAddress.parse(text);
    assertEquals(shown, address.toString());
    assertEquals(address, ServerAddress.parse(shown));
  }

  @ParameterizedTest
  @CsvSource({
    "'', names no host",
    ":3264, names no host",
    "a b:1, names no host",
    "a/b:1, names no host",
    "fe80::1%, port",
    "host:, port",
    "host:0, port",
    "host:65536, port",
    "host:99999999999999999999, port",
    "host:+1, port",
    "host:1:2, port",
    "1:2:3:4:5:6:7, port",
    "1::2::3, port",
    "12345::1, port",
    "[::1, '[::1]:3264'",
    "[::1]3264, '[::1]:3264'",
    "[host]:1, '[::1]:3264'",
    "tls://, names no host",
    "tls://host:0, port",
    "tls://tls://host, the one scheme that there is",
    "TLS://host:1, 'tls://, in small letters, is the one scheme'",
    "https://host, the one scheme that there is",
    "://host, the one scheme that there is"
  })
  void the_error_says_why_a_text_is_not_an_address(String text, String reason) {
    ConfigurationException e =
        assertThrows(ConfigurationException.class, () -> ServerAddress.parse(text));
    assertTrue(e.getMessage().contains(reason), e.getMessage());
  }

  @Test
  void an_error_stays_in_its_line() {
    ConfigurationException e =
        assertThrows(ConfigurationException.class, () -> ServerAddress.parse("a\nb\u202e:1"));
    assertFalse(e.getMessage().contains("\n") || e.getMessage().contains("\u202e"));
  }
}
