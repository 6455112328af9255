package ipseity;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** A server that does what a test says, on a free port of this machine. */
final class Scripted implements AutoCloseable {
  /** What happens on one connection. */
  interface Script {
    void run(Peer peer) throws IOException, InterruptedException;
  }

  private final ServerSocket listener;
  private final List<Script> scripts;
  private final boolean again;
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();
  private final List<Throwable> mistakes = new CopyOnWriteArrayList<>();
  private final AtomicInteger connections = new AtomicInteger();
  private final CountDownLatch ended = new CountDownLatch(1);

  private Scripted(ServerSocket listener, boolean again, Script... scripts) {
    this.listener = listener;
    this.again = again;
    this.scripts = List.of(scripts);
    Threads.daemon("scripted", this::accept).start();
  }

  /** A script for each connection, in the order of accepting. Further ones are closed at once. */
  static Scripted of(Script... scripts) {
    return new Scripted(listen(), false, scripts);
  }

  /** The same, and the last script is for all further connections too. */
  static Scripted again(Script... scripts) {
    return new Scripted(listen(), true, scripts);
  }

  /** The last script is for all further connections, on this socket. */
  static Scripted on(ServerSocket listener, Script... scripts) {
    return new Scripted(listener, true, scripts);
  }

  /**
   * A server of this pid that serves from sequence 1 on, and goes on where it was on each
   * connection.
   */
  static Scripted serving(int pid) {
    long[] next = {1};
    return again(
        peer -> {
          long from;
          synchronized (next) {
            from = next[0];
            // Connections that serve at once are far apart.
            next[0] += 1_000_000;
          }
          peer.serve(pid, from, 1000);
        });
  }

  static ServerSocket listen() {
    try {
      return new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  String address() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  int connections() {
    return connections.get();
  }

  /** Ends everything, and fails if a script had not got what it expected. */
  @Override
  public void close() {
    ended.countDown();
    try {
      listener.close();
      for (Socket socket : sockets) {
        socket.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    for (Throwable mistake : mistakes) {
      throw new AssertionError("a script failed", mistake);
    }
  }

  private void accept() {
    try {
      while (true) {
        Socket socket = listener.accept();
        sockets.add(socket);
        int number = connections.getAndIncrement();
        if (number >= scripts.size() && !again) {
          socket.close();
          continue;
        }
        Script script = scripts.get(Math.min(number, scripts.size() - 1));
        Threads.daemon("script-" + number, () -> run(script, socket)).start();
      }
    } catch (IOException e) {
      // The test has ended.
    }
  }

  private void run(Script script, Socket socket) {
    try (socket) {
      script.run(new Peer(socket, ended));
    } catch (IOException | InterruptedException e) {
      // The client has closed the connection, or the test has ended.
    } catch (RuntimeException | AssertionError e) {
      mistakes.add(e);
    }
  }
}
