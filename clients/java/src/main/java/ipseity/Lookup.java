package ipseity;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Names to addresses, within a time. The system's resolver cannot be cancelled, so each lookup has
 * a daemon thread, and the next lookup of the same name waits for the one that is under way.
 */
final class Lookup {
  private static final Map<String, CompletableFuture<InetAddress[]>> UNDER_WAY =
      new ConcurrentHashMap<>();
  private static final Semaphore PLACES = new Semaphore(Limits.LOOKUPS_MAX);

  private Lookup() {}

  /**
   * All addresses of a name, in the order in which they are tried. An IP address needs no lookup.
   */
  static List<InetAddress> lookUp(String host, long deadline)
      throws UnknownHostException, TimeoutException, InterruptedException {
    if (ServerAddress.isV4(host) || ServerAddress.isV6(host)) {
      return List.of(InetAddress.getByName(host));
    }
    try {
      CompletableFuture<InetAddress[]> lookup = UNDER_WAY.get(host);
      if (lookup == null) {
        lookup = begin(host, deadline);
      }
      return interleaved(lookup.get(Math.max(0, Clock.left(deadline)), TimeUnit.NANOSECONDS));
    } catch (ExecutionException e) {
      if (e.getCause() instanceof UnknownHostException unknown) {
        throw unknown;
      }
      throw new UnknownHostException(String.valueOf(e.getCause().getMessage()));
    }
  }

  private static CompletableFuture<InetAddress[]> begin(String host, long deadline)
      throws TimeoutException, InterruptedException {
    if (!PLACES.tryAcquire(Math.max(0, Clock.left(deadline)), TimeUnit.NANOSECONDS)) {
      throw new TimeoutException();
    }
    CompletableFuture<InetAddress[]> mine = new CompletableFuture<>();
    CompletableFuture<InetAddress[]> other = UNDER_WAY.putIfAbsent(host, mine);
    if (other != null) {
      PLACES.release();
      return other;
    }
    Runnable lookup =
        () -> {
          try {
            mine.complete(InetAddress.getAllByName(host));
          } catch (UnknownHostException | RuntimeException e) {
            mine.completeExceptionally(e);
          } finally {
            UNDER_WAY.remove(host, mine);
            PLACES.release();
          }
        };
    try {
      Threads.daemon("ipseity-lookup", lookup).start();
    } catch (OutOfMemoryError e) {
      // There can be no thread now. Otherwise all who ask for this name would wait for it.
      UNDER_WAY.remove(host, mine);
      PLACES.release();
      mine.completeExceptionally(e);
    }
    return mine;
  }

  /** The two families in turn, that of the first address first (RFC 8305, section 4). */
  static List<InetAddress> interleaved(InetAddress[] addresses) {
    List<InetAddress> first = new ArrayList<>();
    List<InetAddress> second = new ArrayList<>();
    for (InetAddress address : addresses) {
      (address.getClass() == addresses[0].getClass() ? first : second).add(address);
    }
    List<InetAddress> order = new ArrayList<>();
    for (int i = 0; i < Math.max(first.size(), second.size()); i++) {
      if (i < first.size()) {
        order.add(first.get(i));
      }
      if (i < second.size()) {
        order.add(second.get(i));
      }
    }
    return order;
  }
}
