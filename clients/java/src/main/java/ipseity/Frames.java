package ipseity;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Messages to bytes and back. It knows no socket. The protocol's page has every byte. */
final class Frames {
  /** The bytes of a length and a kind. */
  static final int HEADER_BYTES = 3;

  /** The bytes of an identityRequest with its body. */
  static final int IDENTITY_REQUEST_BYTES = 15;

  private static final int LENGTH_BYTES = 2;
  private static final int IDENTITY_REQUEST = 1;
  private static final int IDENTITY_REPLY = 2;
  private static final int IDENTITY_LENGTH = 13;
  private static final int HELLO_REQUEST = 17;
  private static final int HELLO_REPLY = 18;
  private static final int HELLO_REPLY_LENGTH_MIN = 27;
  private static final int HELLO_REPLY_LENGTH_MAX =
      26 + Limits.CLUSTER_BYTES_MAX + Limits.VERSION_BYTES_MAX;
  private static final int ERROR_REPLY = 255;
  private static final int ERROR_REPLY_LENGTH_MIN = 11;
  private static final int ERROR_REPLY_LENGTH_MAX =
      ERROR_REPLY_LENGTH_MIN + Limits.ERROR_TEXT_BYTES_MAX;

  private Frames() {}

  /** Appends an identityRequest. */
  static void putIdentityRequest(ByteBuffer out, int count, long after) {
    out.putShort((short) IDENTITY_LENGTH).put((byte) IDENTITY_REQUEST).putInt(count).putLong(after);
  }

  /** A helloRequest for servers of this cluster, or of any if it is empty. */
  static byte[] helloRequest(String cluster) {
    byte[] name = cluster.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(HEADER_BYTES + Long.BYTES + name.length);
    out.putShort((short) (1 + Long.BYTES + name.length)).put((byte) HELLO_REQUEST);
    out.putLong(name.length).put(name);
    return out.array();
  }

  /**
   * Takes the first frame out of a buffer that is ready to be read. Returns null, and leaves the
   * buffer as it is, if more bytes are needed. Length and kind are judged as soon as they are
   * there, so the longest frame that is waited for has some 500 bytes.
   */
  static Message next(ByteBuffer in) throws MalformedException {
    if (in.remaining() < LENGTH_BYTES) {
      return null;
    }
    int length = Short.toUnsignedInt(in.getShort(in.position()));
    if (length == 0) {
      throw new MalformedException("a frame of length 0 came");
    }
    if (in.remaining() < HEADER_BYTES) {
      return null;
    }
    int kind = Byte.toUnsignedInt(in.get(in.position() + LENGTH_BYTES));
    judge(kind, length);
    if (in.remaining() < LENGTH_BYTES + length) {
      return null;
    }
    ByteBuffer body = in.slice(in.position() + HEADER_BYTES, length - 1);
    in.position(in.position() + LENGTH_BYTES + length);
    Message message =
        switch (kind) {
          case IDENTITY_REPLY ->
              new Message.IdentityReply(body.getLong(), Integer.toUnsignedLong(body.getInt()));
          case HELLO_REPLY -> helloReply(body);
          default ->
              new Message.ErrorReply(number16(body), text(body, Limits.ERROR_TEXT_BYTES_MAX));
        };
    if (body.hasRemaining()) {
      throw new MalformedException(
          message.kind() + " came with " + body.remaining() + " bytes behind its last field");
    }
    return message;
  }

  /** Whether a frame that begins with these bytes belongs to TLS: an alert or a handshake. */
  static boolean isTls(ByteBuffer in) {
    if (in.remaining() < LENGTH_BYTES) {
      return false;
    }
    int first = in.get(in.position());
    return (first == 0x15 || first == 0x16) && in.get(in.position() + 1) == 3;
  }

  private static void judge(int kind, int length) throws MalformedException {
    boolean fits =
        switch (kind) {
          case IDENTITY_REPLY -> length == IDENTITY_LENGTH;
          case HELLO_REPLY -> HELLO_REPLY_LENGTH_MIN <= length && length <= HELLO_REPLY_LENGTH_MAX;
          case ERROR_REPLY -> ERROR_REPLY_LENGTH_MIN <= length && length <= ERROR_REPLY_LENGTH_MAX;
          // The two first letters of HTTP read as a length, and the third as a kind.
          case 'T' ->
              throw new MalformedException(
                  length == ('H' << 8 | 'T')
                      ? "it speaks HTTP there: if it is an Ipseity server, ask the address of its --listen"
                      : "a frame of kind " + kind + " came");
          default -> throw new MalformedException("a frame of kind " + kind + " came");
        };
    if (!fits) {
      throw new MalformedException("a frame of kind " + kind + " came with length " + length);
    }
  }

  private static Message helloReply(ByteBuffer body) throws MalformedException {
    String cluster = text(body, Limits.CLUSTER_BYTES_MAX);
    if (cluster.isEmpty() || cluster.codePoints().anyMatch(Character::isISOControl)) {
      throw new MalformedException("helloReply came with a cluster that cannot have this name");
    }
    String version = text(body, Limits.VERSION_BYTES_MAX);
    int wireVersion = number16(body);
    long countMax = number32(body);
    int pid = number16(body);
    if (pid > Identity.PID_MAX) {
      throw new MalformedException("helloReply came with pid " + pid);
    }
    need(body, 1);
    int standing = Byte.toUnsignedInt(body.get());
    return new Message.HelloReply(cluster, version, wireVersion, countMax, pid, standing);
  }

  private static int number16(ByteBuffer body) throws MalformedException {
    need(body, Short.BYTES);
    return Short.toUnsignedInt(body.getShort());
  }

  private static long number32(ByteBuffer body) throws MalformedException {
    need(body, Integer.BYTES);
    return Integer.toUnsignedLong(body.getInt());
  }

  private static String text(ByteBuffer body, int bytesMax) throws MalformedException {
    need(body, Long.BYTES);
    long claimed = body.getLong();
    // Nothing is reserved before the bytes are there: a count can claim anything.
    if (claimed < 0 || claimed > bytesMax) {
      throw new MalformedException(
          "a text came that says it has " + Long.toUnsignedString(claimed) + " bytes");
    }
    need(body, (int) claimed);
    ByteBuffer bytes = body.slice(body.position(), (int) claimed);
    body.position(body.position() + (int) claimed);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new MalformedException("a text came that is not UTF-8");
    }
  }

  private static void need(ByteBuffer body, int bytes) throws MalformedException {
    if (body.remaining() < bytes) {
      throw new MalformedException("a frame came that ends in the middle of a field");
    }
  }
}
