package ipseity;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntConsumer;
import javax.net.ssl.SSLContext;

/**
 * The servers of one client and the connection to one of them. It leads each call to a server that
 * answers: it goes on to the next one, avoids those that have failed, and waits between the rounds.
 */
final class Pool implements Connection.Owner {
  /** What a call does on a connection. */
  interface Task {
    /** Returns null if it was done. Otherwise it may be run again on another connection. */
    Trouble run(Connection connection, long deadline) throws InterruptedException;
  }

  final Tally tally = new Tally();
  private final Options options;
  private final boolean greets;
  private final SSLContext tls;
  private final IntConsumer inDoubt;

  /**
   * Those that are not closed: the current one, and others on which the last replies are awaited.
   */
  private final Set<Connection> connections = ConcurrentHashMap.newKeySet();

  /** Guards what follows. Nobody holds it while the network is waited for. */
  private final ReentrantLock lock = new ReentrantLock();

  private final Condition closing = lock.newCondition();
  private final Servers servers;
  private Connection current;
  private boolean closed;

  /** How a server broke the protocol while nobody waited for a reply. The next call is told. */
  private Trouble untold;

  /**
   * A pool for these servers. Nothing is looked up or connected before the first call.
   *
   * @param greets whether a helloRequest is sent on each connection
   * @param inDoubt is told each pid whose identities are in doubt
   */
  Pool(Collection<String> servers, Options options, boolean greets, IntConsumer inDoubt) {
    List<ServerAddress> addresses = servers.stream().map(ServerAddress::parse).toList();
    if (addresses.isEmpty()) {
      throw new ConfigurationException(
          "the list of servers is empty (name at least one, such as 127.0.0.1:3264)");
    }
    if (options.first >= addresses.size()) {
      throw new ConfigurationException("there is no server at place " + options.first);
    }
    // A random one, so that many clients spread over all servers.
    int first =
        options.first >= 0 ? options.first : ThreadLocalRandom.current().nextInt(addresses.size());
    this.servers = new Servers(addresses, first);
    this.options = options;
    this.greets = greets;
    this.inDoubt = inDoubt;
    boolean speaksTls = addresses.stream().anyMatch(ServerAddress::tls);
    tls = options.tls == null && speaksTls ? TlsHandshake.standard() : options.tls;
    if (speaksTls) {
      TlsHandshake.warmUp(tls);
    }
  }

  /**
   * Runs a task on the connection that is there, or on a new one to the server that is next, until
   * it is done or the time is over.
   */
  void run(Task task, long deadline) throws InterruptedException {
    if (Thread.interrupted()) {
      throw new InterruptedException();
    }
    ServerFailure[] failures = new ServerFailure[servers.count()];
    boolean[] tried = new boolean[servers.count()];
    boolean[] remade = new boolean[servers.count()];
    long waitMax = Limits.WAIT_FIRST_NANOS;
    while (Clock.left(deadline) > 0) {
      Connection connection = connection(tried);
      if (connection == null) {
        if (!mayPass(failures)) {
          break;
        }
        pause(ThreadLocalRandom.current().nextLong(waitMax + 1), deadline);
        waitMax = Math.min(2 * waitMax, Limits.WAIT_MAX_NANOS);
        tried = new boolean[servers.count()];
        continue;
      }
      Trouble trouble = task.run(connection, deadline);
      if (trouble == null) {
        return;
      }
      int place = connection.server.place;
      switch (trouble.kind()) {
        case NOT_SENT -> {}
        case TIME_OVER -> {
          // What the server said or did before is worth more.
          if (failures[place] == null) {
            failures[place] = tooLate(connection.server);
          }
        }
        case LOST -> {
          if (remade[place]) {
            failures[place] = trouble.failure();
            tried[place] = true;
            failed(connection.server, trouble.failure());
          }
          remade[place] = true;
        }
        case FAILED -> {
          failures[place] = trouble.failure();
          tried[place] = true;
        }
        case REFUSED, WRONG_CLUSTER, PROTOCOL, CLOSED -> throw trouble.exception();
      }
    }
    throw unavailable(failures);
  }

  /**
   * The error of a call that has waited for what others do here, with what is known of each server.
   */
  UnavailableException unavailable() {
    ServerFailure[] failures = new ServerFailure[servers.count()];
    lock.lock();
    try {
      for (int place = 0; place < failures.length; place++) {
        Servers.Server server = servers.get(place);
        failures[place] = server.last() != null ? server.last() : tooLate(server);
      }
    } finally {
      lock.unlock();
    }
    return unavailable(failures);
  }

  /**
   * Closes all connections. The calls on them end, and so do those that wait between two rounds.
   */
  void close() {
    lock.lock();
    try {
      closed = true;
      closing.signalAll();
    } finally {
      lock.unlock();
    }
    for (Connection connection : connections) {
      connection.leave(Trouble.CLOSED);
    }
  }

  // ---- What connections tell ----

  @Override
  public void connected(Connection connection) {
    Hooks.call(() -> options.onConnect.accept(connection.address().toString()));
  }

  @Override
  public void answered(Connection connection) {
    lock.lock();
    try {
      servers.answered(connection.server);
    } finally {
      lock.unlock();
    }
  }

  @Override
  public void ended(Connection connection, Trouble trouble) {
    connections.remove(connection);
    if (trouble.kind() == Trouble.Kind.FAILED) {
      failed(connection.server, trouble.failure());
    } else if (trouble.kind() == Trouble.Kind.PROTOCOL && connection.isIdle()) {
      lock.lock();
      try {
        untold = trouble;
      } finally {
        lock.unlock();
      }
    }
  }

  @Override
  public void inDoubt(int pid) {
    inDoubt.accept(pid);
  }

  // ---- Inside ----

  /**
   * The connection for the next try: the one that is there, whichever call has made it, or a new
   * one. Null if all servers have been tried.
   */
  private Connection connection(boolean[] tried) {
    lock.lock();
    try {
      if (closed) {
        throw new ClosedException();
      }
      if (untold != null) {
        Trouble told = untold;
        untold = null;
        throw told.exception();
      }
      if (current != null && current.isLive()) {
        return current;
      }
      Servers.Server server = servers.next(tried, Clock.now());
      if (server == null) {
        return null;
      }
      current = new Connection(server, options, greets, tls, tally, this);
      connections.add(current);
      current.start();
      return current;
    } finally {
      lock.unlock();
    }
  }

  private void failed(Servers.Server server, ServerFailure failure) {
    lock.lock();
    try {
      servers.failed(server, failure, Clock.now());
    } finally {
      lock.unlock();
    }
    tally.failures.increment();
    Hooks.call(() -> options.onFailover.accept(failure));
  }

  /** Waits between two rounds. */
  private void pause(long nanos, long deadline) throws InterruptedException {
    long until = Clock.earlier(Clock.now() + nanos, deadline);
    lock.lockInterruptibly();
    try {
      while (!closed && Clock.left(until) > 0) {
        closing.await(Clock.left(until), TimeUnit.NANOSECONDS);
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether a later try could end better at any of the servers. */
  private static boolean mayPass(ServerFailure[] failures) {
    for (ServerFailure failure : failures) {
      if (failure == null || failure.mayPass()) {
        return true;
      }
    }
    return false;
  }

  private UnavailableException unavailable(ServerFailure[] failures) {
    List<ServerFailure> all = new ArrayList<>();
    lock.lock();
    try {
      for (int place = 0; place < failures.length; place++) {
        Servers.Server server = servers.get(place);
        ServerFailure failure = failures[place] != null ? failures[place] : server.last();
        all.add(failure != null ? failure : notAsked(server));
      }
    } finally {
      lock.unlock();
    }
    return new UnavailableException(all);
  }

  private ServerFailure tooLate(Servers.Server server) {
    return new ServerFailure(
        server.address.toString(),
        ServerFailure.Reason.TIMEOUT,
        0,
        "no reply before the call's " + Clock.words(options.callTimeout) + " were over");
  }

  private static ServerFailure notAsked(Servers.Server server) {
    return new ServerFailure(
        server.address.toString(),
        ServerFailure.Reason.NOT_ASKED,
        0,
        "the time of the call was over before it was asked");
  }
}
