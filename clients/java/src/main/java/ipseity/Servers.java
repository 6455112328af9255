package ipseity;

import java.util.List;

/**
 * The servers of a client, and which of them to try next. It reads no clock and is not shared: its
 * owner tells it the time, and guards it.
 */
final class Servers {
  /** One server, and how it did. */
  static final class Server {
    final int place;
    final ServerAddress address;

    /** The pid that it had when it last said so; negative before. */
    volatile int pid = -1;

    private int failuresInRow;
    private long avoidedUntil;
    private ServerFailure last;

    private Server(int place, ServerAddress address) {
      this.place = place;
      this.address = address;
    }

    /** Its last failure since it has answered; null if there is none. */
    ServerFailure last() {
      return last;
    }

    private boolean isAvoided(long now) {
      return failuresInRow > 0 && avoidedUntil - now > 0;
    }
  }

  private final List<Server> servers;
  private int current;

  /** At least one server. The first to try stands at this place. */
  Servers(List<ServerAddress> addresses, int first) {
    Server[] all = new Server[addresses.size()];
    for (int place = 0; place < all.length; place++) {
      all[place] = new Server(place, addresses.get(place));
    }
    servers = List.of(all);
    current = first;
  }

  int count() {
    return servers.size();
  }

  Server get(int place) {
    return servers.get(place);
  }

  /**
   * The server to try next: the one that answered last, or the next of the list that is not
   * avoided, or the one that is avoided for the shortest time. Null if all have been tried.
   */
  Server next(boolean[] tried, long now) {
    Server soonest = null;
    for (int step = 0; step < servers.size(); step++) {
      Server server = servers.get((current + step) % servers.size());
      if (tried[server.place]) {
        continue;
      }
      if (!server.isAvoided(now)) {
        return server;
      }
      if (soonest == null || server.avoidedUntil - soonest.avoidedUntil < 0) {
        soonest = server;
      }
    }
    return soonest;
  }

  /** The server has failed, and is avoided for a while. The one behind it is the next. */
  void failed(Server server, ServerFailure failure, long now) {
    server.failuresInRow++;
    // 1 s, 2 s, 4 s: more than 5 doublings are beyond the greatest anyway.
    int doublings = Math.min(server.failuresInRow - 1, 5);
    server.avoidedUntil =
        now + Math.min(Limits.AVOID_FIRST_NANOS << doublings, Limits.AVOID_MAX_NANOS);
    server.last = failure;
    if (server.place == current) {
      current = (current + 1) % servers.size();
    }
  }

  /** The server has answered: it is the one to stay with. */
  void answered(Server server) {
    server.failuresInRow = 0;
    server.last = null;
    current = server.place;
  }
}
