package ipseity;

import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * Takes a few identities from a server inside of this program. A Java program loads its classes at
 * their first use, and that must not count as the time of a scenario.
 */
final class WarmUp {
  private WarmUp() {}

  static void run() throws IOException {
    try (ServerSocket listener = new ServerSocket(0, 2, InetAddress.getLoopbackAddress())) {
      Threads.daemon("warm-up", () -> serve(listener)).start();
      String server = "127.0.0.1:" + listener.getLocalPort();
      Options options = new HookCounts().on(new Options());
      try (Client client = Client.open(List.of(server), options);
          Source source = Source.open(List.of(server), options)) {
        client.next();
        source.next();
      } catch (IpseityException | InterruptedException e) {
        // The scenarios find out what is wrong.
      }
      TlsHandshake.warmUp(TlsHandshake.standard());
    }
  }

  /** Answers one connection after the other, until nobody listens any more. */
  private static void serve(ServerSocket listener) {
    long next = 1;
    while (!listener.isClosed()) {
      try (Socket socket = listener.accept()) {
        DataInputStream in = new DataInputStream(socket.getInputStream());
        for (int request = 0; request < 1; ) {
          byte[] frame = new byte[in.readUnsignedShort()];
          in.readFully(frame);
          if (frame[0] != 1) {
            // A hello, which a server that is too old for it refuses like this.
            socket.getOutputStream().write(new byte[] {0, 11, -1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0});
            break;
          }
          int count = ByteBuffer.wrap(frame).getInt(1);
          ByteBuffer reply = ByteBuffer.allocate(Frames.IDENTITY_REQUEST_BYTES);
          reply.putShort((short) 13).put((byte) 2).putLong(next << 10).putInt(count);
          socket.getOutputStream().write(reply.array());
          next += count;
          request++;
        }
      } catch (IOException e) {
        // The warm-up is over.
      }
    }
  }
}
