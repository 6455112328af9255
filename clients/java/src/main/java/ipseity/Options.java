package ipseity;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.function.IntConsumer;
import javax.net.ssl.SSLContext;

/**
 * How a client or a source behaves. It does not change: each method returns a new one.
 *
 * <pre>{@code
 * Options options = new Options().cluster("orders").callTimeout(Duration.ofMillis(500));
 * }</pre>
 *
 * <p>Each time is more than zero and at most 24 days. What is wrong is told at once, by a {@link
 * ConfigurationException}.
 */
public final class Options {
  String cluster = "";
  long connectTimeout = Duration.ofSeconds(1).toNanos();
  long replyTimeout = Duration.ofSeconds(1).toNanos();
  long callTimeout = Duration.ofSeconds(2).toNanos();
  long idleMax = Duration.ofSeconds(60).toNanos();
  long blockAgeMax = Duration.ofSeconds(60).toNanos();
  int blockMax = Limits.BLOCK_MAX_DEFAULT;
  SSLContext tls;
  Consumer<String> onConnect = server -> {};
  Consumer<ServerFailure> onFailover = failure -> {};
  IntConsumer onRefill = count -> {};

  /**
   * The place in the list of the server that is tried first; negative for a random one. For tests.
   */
  int first = -1;

  /** The defaults, which the methods name. */
  public Options() {}

  private Options(Options other) {
    cluster = other.cluster;
    connectTimeout = other.connectTimeout;
    replyTimeout = other.replyTimeout;
    callTimeout = other.callTimeout;
    idleMax = other.idleMax;
    blockAgeMax = other.blockAgeMax;
    blockMax = other.blockMax;
    tls = other.tls;
    onConnect = other.onConnect;
    onFailover = other.onFailover;
    onRefill = other.onRefill;
    first = other.first;
  }

  /**
   * The name of the cluster that the servers must be of. It is checked on each new connection, in
   * the same round trip as the first request. Unless it is told, a server of any cluster will do.
   *
   * @param name 1 to 255 bytes of UTF-8, without control characters
   * @return options with this name
   */
  public Options cluster(String name) {
    int bytes = name.getBytes(StandardCharsets.UTF_8).length;
    if (bytes < 1
        || bytes > Limits.CLUSTER_BYTES_MAX
        || name.codePoints().anyMatch(Character::isISOControl)) {
      throw new ConfigurationException(
          "cluster is "
              + Plain.quoted(name)
              + ": it must be 1 to 255 bytes of UTF-8 without control characters");
    }
    Options options = new Options(this);
    options.cluster = name;
    return options;
  }

  /**
   * How long connecting to one server may take, with the lookup of its name, all its addresses, and
   * the TLS handshake: 1 second unless set.
   *
   * @param time more than zero
   * @return options with this time
   */
  public Options connectTimeout(Duration time) {
    Options options = new Options(this);
    options.connectTimeout = nanos("connectTimeout", time);
    return options;
  }

  /**
   * How long one reply may take, from the moment when its request was written (or the reply before
   * it came) until its last byte: 1 second unless set.
   *
   * @param time more than zero
   * @return options with this time
   */
  public Options replyTimeout(Duration time) {
    Options options = new Options(this);
    options.replyTimeout = nanos("replyTimeout", time);
    return options;
  }

  /**
   * How long a whole call may take, over all servers and all tries: 2 seconds unless set.
   *
   * @param time more than zero
   * @return options with this time
   */
  public Options callTimeout(Duration time) {
    Options options = new Options(this);
    options.callTimeout = nanos("callTimeout", time);
    return options;
  }

  /**
   * A connection that was not used for so long is closed: 60 seconds unless set. Set less than what
   * firewalls on the way remember.
   *
   * @param time more than zero
   * @return options with this time
   */
  public Options idleMax(Duration time) {
    Options options = new Options(this);
    options.idleMax = nanos("idleMax", time);
    return options;
  }

  /**
   * What a source still holds of a block after so long is dropped: 60 seconds unless set. A client
   * does not look at it.
   *
   * @param time more than zero
   * @return options with this time
   */
  public Options blockAgeMax(Duration time) {
    Options options = new Options(this);
    options.blockAgeMax = nanos("blockAgeMax", time);
    return options;
  }

  /**
   * The most identities that a source takes at a time: 65,536 unless set. A client does not look at
   * it.
   *
   * @param count 1 to 16,777,216
   * @return options with this count
   */
  public Options blockMax(int count) {
    if (count < 1 || count > Limits.BLOCK_MAX_MAX) {
      throw new ConfigurationException(
          "blockMax is " + count + ": it must be 1 to " + Limits.BLOCK_MAX_MAX);
    }
    Options options = new Options(this);
    options.blockMax = count;
    return options;
  }

  /**
   * Which CAs are believed, and which certificate is shown, to servers at {@code tls://} addresses.
   * {@link Tls} makes one from PEM files. Unless it is set, it is {@link SSLContext#getDefault()}.
   * That the certificate is for the name or the address in the list of servers is checked in any
   * case.
   *
   * @param context made ready
   * @return options with this context
   */
  public Options tls(SSLContext context) {
    Options options = new Options(this);
    options.tls = Objects.requireNonNull(context);
    return options;
  }

  /**
   * Called when a connection is there, with the address of its server. Hooks are called by whoever
   * does the work, so they should be short. What they throw is ignored.
   *
   * @param hook takes the server
   * @return options with this hook
   */
  public Options onConnect(Consumer<String> hook) {
    Options options = new Options(this);
    options.onConnect = Objects.requireNonNull(hook);
    return options;
  }

  /**
   * Called when a server has failed.
   *
   * @param hook takes the server and why
   * @return options with this hook
   */
  public Options onFailover(Consumer<ServerFailure> hook) {
    Options options = new Options(this);
    options.onFailover = Objects.requireNonNull(hook);
    return options;
  }

  /**
   * Called when a source has taken a block.
   *
   * @param hook takes how many identities it was
   * @return options with this hook
   */
  public Options onRefill(IntConsumer hook) {
    Options options = new Options(this);
    options.onRefill = Objects.requireNonNull(hook);
    return options;
  }

  Options first(int place) {
    Options options = new Options(this);
    options.first = place;
    return options;
  }

  private static long nanos(String what, Duration time) {
    if (time.isNegative() || time.isZero() || time.compareTo(Limits.TIME_MAX) > 0) {
      throw new ConfigurationException(
          what + " is " + time + ": it must be more than zero, and at most 24 days");
    }
    return time.toNanos();
  }
}
