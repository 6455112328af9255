package ipseity;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** The messages of a server as bytes. */
final class Bytes {
  private Bytes() {}

  static byte[] hex(String hex) {
    return HexFormat.of().parseHex(hex.replace(" ", ""));
  }

  static byte[] identityReply(long first, int count) {
    return ByteBuffer.allocate(15)
        .putShort((short) 13)
        .put((byte) 2)
        .putLong(first)
        .putInt(count)
        .array();
  }

  static byte[] errorReply(int code, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(13 + bytes.length)
        .putShort((short) (11 + bytes.length))
        .put((byte) 255)
        .putShort((short) code)
        .putLong(bytes.length)
        .put(bytes)
        .array();
  }

  static byte[] helloReply(String cluster, int countMax, int pid) {
    byte[] name = cluster.getBytes(StandardCharsets.UTF_8);
    byte[] version = "0.2.0".getBytes(StandardCharsets.UTF_8);
    int length = 1 + 8 + name.length + 8 + version.length + 2 + 4 + 2 + 1;
    return ByteBuffer.allocate(2 + length)
        .putShort((short) length)
        .put((byte) 18)
        .putLong(name.length)
        .put(name)
        .putLong(version.length)
        .put(version)
        .putShort((short) 2)
        .putInt(countMax)
        .putShort((short) pid)
        .put((byte) 0)
        .array();
  }
}
