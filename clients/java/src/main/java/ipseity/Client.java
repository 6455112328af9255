package ipseity;

import java.util.Collection;
import java.util.List;
import java.util.OptionalLong;

/**
 * Takes identities, and asks a server for each call. What it returns is greater than all that it
 * had seen when the call began, whichever server answers.
 *
 * <pre>{@code
 * try (Client client = Client.open("127.0.0.1:3264")) {
 *   long identity = client.next();
 * }
 * }</pre>
 *
 * <p>It may be used by all threads of a program at once: their requests share one connection. Where
 * many identities are needed, {@link Source} is a thousand times faster.
 *
 * <p>A call ends with one of the {@link IpseityException}s, or with {@link InterruptedException} if
 * its thread is interrupted. It never takes longer than {@link Options#callTimeout}. To ask again
 * is always safe: what was lost is skipped, never repeated.
 */
public final class Client implements AutoCloseable {
  private final Options options;
  private final Pool pool;

  private Client(Collection<String> servers, Options options) {
    this.options = options;
    pool = new Pool(servers, options, !options.cluster.isEmpty(), pid -> {});
  }

  /**
   * A client of these servers. Nothing is looked up or connected before the first call.
   *
   * @param servers each {@code HOST}, {@code HOST:PORT} or {@code [IPV6]:PORT}, with {@code tls://}
   *     before it if it is spoken to by TLS. Without a port it is 3264
   * @return the client
   * @throws ConfigurationException if there is no server, or one is not an address
   */
  public static Client open(String... servers) {
    return new Client(List.of(servers), new Options());
  }

  /**
   * A client of these servers, with these options.
   *
   * @param servers as for {@link #open(String...)}
   * @param options how it behaves
   * @return the client
   * @throws ConfigurationException if there is no server, or one is not an address
   */
  public static Client open(Collection<String> servers, Options options) {
    return new Client(servers, options);
  }

  /**
   * One identity.
   *
   * @return it is greater than all that this client had seen
   * @throws UnavailableException if no server answered in time
   * @throws RefusedException if a server refused the request
   * @throws WrongClusterException if the server is of another cluster
   * @throws ProtocolException if a server broke the protocol
   * @throws ClosedException if the client is closed
   * @throws InterruptedException if this thread is interrupted
   */
  public long next() throws InterruptedException {
    return block(1).first();
  }

  /**
   * Several identities with one request.
   *
   * @param count how many: 1 to what the server allows, which is 1000 unless its operator has set
   *     another number. The server refuses 0 and what is over its limit
   * @return all of them are greater than all that this client had seen
   * @throws ConfigurationException if the count is negative
   * @throws UnavailableException if no server answered in time
   * @throws RefusedException if a server refused the request
   * @throws WrongClusterException if the server is of another cluster
   * @throws ProtocolException if a server broke the protocol
   * @throws ClosedException if the client is closed
   * @throws InterruptedException if this thread is interrupted
   */
  public Block block(int count) throws InterruptedException {
    if (count < 0) {
      throw new ConfigurationException("nobody can ask for " + count + " identities");
    }
    Single request = new Single(count);
    pool.run(request, Clock.now() + options.callTimeout);
    pool.tally.identities.add(count);
    return request.block;
  }

  /**
   * Tells of an identity that came another way, such as in a message or from a database. What this
   * client returns from now on is greater. A server refuses to go too far ahead at once.
   *
   * @param identity 0 or greater
   * @throws ConfigurationException if it is negative
   */
  public void observe(long identity) {
    pool.tally.see(new Identity(identity).value());
  }

  /**
   * The newest identity that this client has seen.
   *
   * @return empty if it has seen none
   */
  public OptionalLong newest() {
    long newest = pool.tally.newest();
    return newest == 0 ? OptionalLong.empty() : OptionalLong.of(newest);
  }

  /**
   * What this client has done so far.
   *
   * @return the counters, each as it is now
   */
  public Counters counters() {
    Tally tally = pool.tally;
    return new Counters(
        tally.requests.sum(),
        tally.identities.sum(),
        tally.connects.sum(),
        tally.failures.sum(),
        0,
        0,
        0);
  }

  /**
   * Closes the connection. It does not wait for calls that are under way: they end with {@link
   * ClosedException}.
   */
  @Override
  public void close() {
    pool.close();
  }

  /** One request. */
  private static final class Single implements Pool.Task {
    private final int count;
    private Block block;

    Single(int count) {
      this.count = count;
    }

    @Override
    public Trouble run(Connection connection, long deadline) throws InterruptedException {
      Call call = new Call(count);
      int taken = connection.submit(new Call[] {call}, 0, deadline);
      if (taken <= 0) {
        return taken < 0 ? Trouble.TIME_OVER : connection.notSent();
      }
      try {
        if (!connection.await(call, deadline)) {
          return Trouble.TIME_OVER;
        }
      } finally {
        call.abandon();
      }
      block = call.block();
      return call.trouble();
    }
  }
}
