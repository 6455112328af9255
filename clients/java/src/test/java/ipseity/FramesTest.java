package ipseity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FramesTest {
  private static final String HELLO =
      "0026 12 0000000000000007 69707365697479 0000000000000005 302e312e30 0002 000003e8 0001 00";

  private static Message decode(String hex) throws MalformedException {
    return Frames.next(ByteBuffer.wrap(Bytes.hex(hex)));
  }

  @Test
  void requests_have_the_bytes_of_the_protocol() {
    ByteBuffer out = ByteBuffer.allocate(Frames.IDENTITY_REQUEST_BYTES);
    Frames.putIdentityRequest(out, 3, 5122);
    assertArrayEquals(Bytes.hex("000d 01 00000003 0000000000001402"), out.array());
    assertArrayEquals(
        Bytes.hex("0010 11 0000000000000007 69707365697479"), Frames.helloRequest("ipseity"));
    assertArrayEquals(Bytes.hex("0009 11 0000000000000000"), Frames.helloRequest(""));
  }

  @Test
  void replies_are_read_whole_and_never_before() throws MalformedException {
    byte[] all =
        Bytes.hex(
            HELLO
                + "000d 02 0000000000000401 00000001 0014 ff 0022 0000000000000009 657868617573746564");
    ByteBuffer buffer = ByteBuffer.allocate(all.length).flip();
    StringBuilder seen = new StringBuilder();
    for (byte next : all) {
      buffer.compact().put(next).flip();
      Message message = Frames.next(buffer);
      if (message != null) {
        seen.append(message).append('\n');
      }
    }
    assertEquals(
        "HelloReply[cluster=ipseity, version=0.1.0, wireVersion=2, countMax=1000, pid=1, standing=0]\n"
            + "IdentityReply[first=1025, count=1]\n"
            + "ErrorReply[code=34, text=exhausted]\n",
        seen.toString());
    assertEquals(0, buffer.remaining());
  }

  @ParameterizedTest
  @CsvSource({
    "0000, length 0",
    "000101, kind 1 came",
    "000163, kind 99 came",
    "000c02, kind 2 came with length 12",
    "000e02, kind 2 came with length 14",
    "ffff02, kind 2 came with length 65535",
    "000aff, kind 255 came with length 10",
    "020cff, kind 255 came with length 524",
    "001a12, kind 18 came with length 26",
    "015a12, kind 18 came with length 346",
    "485454, HTTP",
    "000f06, kind 6 came",
    "000bff 0022 8000000000000000, says it has",
    "000bff 0022 0000000000000001, in the middle of a field",
    "000cff 0022 0000000000000000 41, 1 bytes behind",
    "000cff 0022 0000000000000001 ff, not UTF-8",
    "001b12 0000000000000000 0000000000000001 00 0002 000003e8 0001 00, cannot have this name",
    "001b12 0000000000000001 0a 0000000000000000 0002 000003e8 0001 00, cannot have this name",
    "001b12 0000000000000001 41 0000000000000000 0002 000003e8 0400 00, pid 1024"
  })
  void what_is_malformed_is_refused(String hex, String reason) {
    MalformedException e = assertThrows(MalformedException.class, () -> decode(hex));
    assertTrue(e.getMessage().contains(reason), e.getMessage());
  }

  @Test
  void the_first_byte_alone_says_nothing() throws MalformedException {
    assertNull(decode(""));
    assertNull(decode("00"));
    assertNull(decode("000d"));
    assertNull(decode("000d02"));
  }
}
