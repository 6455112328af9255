package ipseity;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Connecting to the first of several addresses that accepts. */
class DialerTest {
  private static final long LONG = Duration.ofSeconds(20).toNanos();

  /** More than a listener with a backlog of one takes. */
  private static final int CALLERS = 4;

  /**
   * An address that neither accepts nor refuses: its queue is full. The callers that fill it wait
   * until the end, so it stays full, however slow the machine is.
   */
  private static final class Silent implements AutoCloseable {
    private final ServerSocket listener =
        new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"));
    private final List<SocketChannel> queue = new ArrayList<>();

    Silent() throws IOException {
      for (int i = 0; i < CALLERS; i++) {
        SocketChannel caller = SocketChannel.open();
        queue.add(caller);
        caller.configureBlocking(false);
        caller.connect(address());
      }
    }

    InetSocketAddress address() {
      return (InetSocketAddress) listener.getLocalSocketAddress();
    }

    @Override
    public void close() throws IOException {
      listener.close();
      for (SocketChannel caller : queue) {
        caller.close();
      }
    }
  }

  private static Dialer dialer(long timeout) {
    return new Dialer(ServerAddress.parse("ids:1"), timeout, Clock.now() + timeout);
  }

  /** A port where nobody listens, and where nobody else can while this socket is open. */
  private static Socket dead() throws IOException {
    Socket socket = new Socket();
    socket.bind(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0));
    return socket;
  }

  private static InetSocketAddress address(Socket bound) {
    return (InetSocketAddress) bound.getLocalSocketAddress();
  }

  @Test
  void an_address_that_is_silent_or_dead_does_not_use_up_the_time() throws Exception {
    try (Silent silent = new Silent();
        Socket dead = dead();
        ServerSocket good = Scripted.listen()) {
      InetSocketAddress address = (InetSocketAddress) good.getLocalSocketAddress();
      long began = Clock.now();
      List<InetSocketAddress> all =
          List.of(address(dead), silent.address(), address(dead), address);
      try (Socket socket = dialer(LONG).race(all)) {
        assertEquals(address, socket.getRemoteSocketAddress());
      }
      assertTrue(Clock.now() - began < LONG / 2, "it waited for the silent one");
    }
  }

  @Test
  void the_error_names_every_address() throws Exception {
    try (Socket one = dead();
        Socket other = dead()) {
      Dialer.Failed e =
          assertThrows(
              Dialer.Failed.class, () -> dialer(LONG).race(List.of(address(one), address(other))));
      assertEquals(ServerFailure.Reason.CONNECT, e.trouble.failure().reason());
      assertTrue(
          e.trouble.text().startsWith("cannot connect: 127.0.0.1: Connection refused; 127.0.0.1: "),
          e.trouble.text());
    }
    try (Silent silent = new Silent()) {
      long shortTime = Duration.ofMillis(200).toNanos();
      Dialer.Failed late =
          assertThrows(
              Dialer.Failed.class,
              () -> dialer(shortTime).race(List.of(silent.address(), silent.address())));
      assertTrue(
          late.trouble.text().contains("imed out")
              || late.trouble.text().contains("no answer within"),
          late.trouble.text());
    }
  }

  @Test
  void an_attempt_that_is_cancelled_ends() throws Exception {
    try (Silent silent = new Silent()) {
      Dialer dialer = dialer(LONG);
      Background<RawSocket> attempt = Background.of(() -> dialer.race(List.of(silent.address())));
      Thread.sleep(20);
      dialer.cancel();
      // It would take 20 seconds otherwise, or the test would find it running.
      attempt.failure();
    }
  }
}
