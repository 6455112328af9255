package ipseity;

import java.io.IOException;
import java.net.Socket;

/** Closing sockets. There is nobody to tell if that fails, and nothing to do about it. */
final class Sockets {
  private Sockets() {}

  /** Closes a socket at once. Whoever reads from it or writes to it is woken up. */
  static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // It counts as closed.
    }
  }

  /** Shuts the sending side: with close_notify if it is a TLS socket. */
  static void shutDown(Socket socket) {
    try {
      socket.shutdownOutput();
    } catch (IOException | UnsupportedOperationException e) {
      // It is closed already, or was never open.
    }
  }
}
