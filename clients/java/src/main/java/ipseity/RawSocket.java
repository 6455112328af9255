package ipseity;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.util.Arrays;

/**
 * A TCP socket that remembers the first bytes it has read. If they turn out not to be TLS, they say
 * what is spoken there.
 */
final class RawSocket extends Socket {
  /**
   * What TLS reads first: the head of a record. The head and the code of an errorReply are as long.
   */
  private static final int FIRST_BYTES = 5;

  private final byte[] first = new byte[FIRST_BYTES];
  private int known;
  private InputStream in;

  @Override
  public synchronized InputStream getInputStream() throws IOException {
    if (in == null) {
      in = new Remembering(super.getInputStream());
    }
    return in;
  }

  /** The first bytes that came, 5 at most. */
  byte[] firstBytes() {
    return Arrays.copyOf(first, known);
  }

  private final class Remembering extends FilterInputStream {
    Remembering(InputStream in) {
      super(in);
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = in.read(bytes, offset, length);
      if (count > 0 && known < FIRST_BYTES) {
        int more = Math.min(count, FIRST_BYTES - known);
        System.arraycopy(bytes, offset, first, known, more);
        known += more;
      }
      return count;
    }
  }
}
