package ipseity;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Connects to the first address of a server that accepts, as RFC 8305 ("Happy Eyeballs") describes:
 * the attempts begin one after the other and go on side by side, so an address that is silent costs
 * a fraction of a second and not the whole time.
 */
final class Dialer {
  private final ServerAddress server;
  private final long timeout;
  private final long deadline;
  private final Set<RawSocket> sockets = ConcurrentHashMap.newKeySet();
  private volatile boolean cancelled;

  Dialer(ServerAddress server, long timeout, long deadline) {
    this.server = server;
    this.timeout = timeout;
    this.deadline = deadline;
  }

  /** What came of one attempt. */
  private record Outcome(InetSocketAddress address, RawSocket socket, IOException error) {}

  /** A server that cannot be connected to. */
  static final class Failed extends Exception {
    private static final long serialVersionUID = 1L;
    final transient Trouble trouble;

    Failed(Trouble trouble) {
      this.trouble = trouble;
    }
  }

  /** Looks the name up and connects. */
  RawSocket connect() throws Failed, InterruptedException {
    List<InetSocketAddress> addresses = new ArrayList<>();
    try {
      for (InetAddress address : Lookup.lookUp(server.host(), deadline)) {
        addresses.add(new InetSocketAddress(address, server.port()));
      }
    } catch (UnknownHostException e) {
      throw failed(
          ServerFailure.Reason.LOOKUP, "cannot look up the name: " + Plain.text(unknown(e)));
    } catch (TimeoutException e) {
      throw failed(
          ServerFailure.Reason.LOOKUP,
          "the name could not be looked up within " + Clock.words(timeout));
    }
    if (addresses.isEmpty()) {
      throw failed(ServerFailure.Reason.LOOKUP, "the name has no address");
    }
    return race(addresses);
  }

  /** Ends all attempts. */
  void cancel() {
    cancelled = true;
    sockets.forEach(Sockets::close);
  }

  /** Connects to the first of these that accepts. */
  RawSocket race(List<InetSocketAddress> addresses) throws Failed, InterruptedException {
    BlockingQueue<Outcome> outcomes = new LinkedBlockingQueue<>();
    List<String> failures = new ArrayList<>();
    int begun = 0;
    RawSocket winner = null;
    try {
      while (winner == null && failures.size() < addresses.size() && Clock.left(deadline) > 0) {
        if (begun < addresses.size()) {
          begin(addresses.get(begun), addresses.size() == 1, outcomes);
          begun++;
        }
        Outcome outcome = outcomes.poll(pause(addresses.size() - begun), TimeUnit.NANOSECONDS);
        if (outcome != null && outcome.error == null) {
          winner = outcome.socket;
        } else if (outcome != null) {
          failures.add(words(outcome, addresses.size()));
        }
      }
    } finally {
      RawSocket kept = winner;
      sockets.removeIf(socket -> socket == kept);
      cancel();
    }
    if (winner != null) {
      return winner;
    }
    if (failures.size() < addresses.size()) {
      failures.add("no answer within " + Clock.words(timeout));
    }
    throw failed(ServerFailure.Reason.CONNECT, "cannot connect: " + String.join("; ", failures));
  }

  /** One address is connected to on this thread; several each have one of their own. */
  private void begin(InetSocketAddress address, boolean here, BlockingQueue<Outcome> outcomes) {
    Runnable attempt = () -> outcomes.add(attempt(address));
    if (here) {
      attempt.run();
    } else {
      Threads.daemon("ipseity-dial", attempt).start();
    }
  }

  private Outcome attempt(InetSocketAddress address) {
    RawSocket socket = new RawSocket();
    sockets.add(socket);
    try {
      if (cancelled) {
        throw new IOException("cancelled");
      }
      socket.setTcpNoDelay(true);
      socket.setSendBufferSize(Limits.SEND_BUFFER_BYTES);
      socket.connect(address, Clock.millis(Clock.left(deadline)));
      return new Outcome(address, socket, null);
    } catch (IOException e) {
      Sockets.close(socket);
      return new Outcome(address, socket, e);
    }
  }

  /** How long to wait before the next attempt. Those that are left share the time. */
  private long pause(int others) {
    long left = Math.max(0, Clock.left(deadline));
    if (others == 0) {
      return left;
    }
    long share = left / (others + 1);
    return Math.max(Limits.ATTEMPT_DELAY_MIN_NANOS, Math.min(Limits.ATTEMPT_DELAY_NANOS, share));
  }

  private String words(Outcome outcome, int addresses) {
    String reason = Plain.text(message(outcome.error));
    String address = outcome.address.getAddress().getHostAddress();
    boolean isItsName = addresses == 1 && address.equals(server.host());
    return isItsName ? reason : address + ": " + reason;
  }

  private Failed failed(ServerFailure.Reason reason, String text) {
    return new Failed(Trouble.failed(server, reason, text));
  }

  /**
   * Java remembers for a while that there is no such name, and then it says nothing but the name.
   */
  private String unknown(UnknownHostException e) {
    return server.host().equals(e.getMessage()) ? "there is no such name" : message(e);
  }

  private static String message(Exception e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }
}
