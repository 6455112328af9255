package ipseity;

import java.time.Duration;

/** The bounds of a client, each with its reason. */
final class Limits {
  /** The port of a server whose address names none. */
  static final int PORT_DEFAULT = 3264;

  /** The most requests that are under way on one connection. All of them together have 15 KiB. */
  static final int IN_FLIGHT_MAX = 1024;

  /**
   * The buffer for what is written to a socket. All requests that may be under way fit, each in a
   * record of TLS of its own (40 KiB), so a write does not have to wait for a server that has
   * stopped reading.
   */
  static final int SEND_BUFFER_BYTES = 64 * 1024;

  /**
   * How long a server is avoided after its first failure in a row. A frozen server costs little
   * then.
   */
  static final long AVOID_FIRST_NANOS = Duration.ofSeconds(1).toNanos();

  /** The longest time that a server is avoided, so that one that comes back is soon used again. */
  static final long AVOID_MAX_NANOS = Duration.ofSeconds(30).toNanos();

  /** The bound of the first random wait, after all servers have failed. */
  static final long WAIT_FIRST_NANOS = Duration.ofMillis(50).toNanos();

  /** The bound of the longest random wait. A call has room for several of them. */
  static final long WAIT_MAX_NANOS = Duration.ofMillis(400).toNanos();

  /**
   * How long the attempts at two addresses of a name are apart: what RFC 8305 recommends (section
   * 5).
   */
  static final long ATTEMPT_DELAY_NANOS = Duration.ofMillis(250).toNanos();

  /** The shortest time between two attempts. RFC 8305 forbids less (section 5). */
  static final long ATTEMPT_DELAY_MIN_NANOS = Duration.ofMillis(10).toNanos();

  /**
   * The most lookups of names that are under way at once in this process. Each has a thread, and
   * nobody can cancel the system's resolver. A lookup beyond this waits for one of them to end.
   */
  static final int LOOKUPS_MAX = 64;

  /**
   * How much longer than the connect timeout a call waits before it ends a connection that is still
   * being made. The thread that makes it keeps the timeout itself, and knows better what went
   * wrong.
   */
  static final long CONNECT_GRACE_NANOS = Duration.ofMillis(50).toNanos();

  /** How long to wait for a thread that is about to hand over a result. It needs microseconds. */
  static final long HAND_OVER_NANOS = Duration.ofMillis(1).toNanos();

  /** The bytes that are read at once: a thousand replies. */
  static final int READ_BYTES = 16 * 1024;

  /**
   * The most identities that a server gives with one request, unless its operator has set another.
   */
  static final int COUNT_MAX_DEFAULT = 1000;

  /**
   * How many identities a source takes at first, and at least: little is lost if no more are
   * needed.
   */
  static final int REFILL_FIRST = 16;

  /** A source that takes a block again after a shorter time takes twice as much. */
  static final long REFILL_SOON_NANOS = Duration.ofMillis(100).toNanos();

  /** A source that takes a block again after a longer time takes half as much. */
  static final long REFILL_LATE_NANOS = Duration.ofSeconds(1).toNanos();

  /** The most identities that a source takes at a time, unless it is told another number. */
  static final int BLOCK_MAX_DEFAULT = 65_536;

  /**
   * The greatest number that it can be told. At 1000 a request that is about 16,000 requests, and
   * several megabytes of memory for a moment.
   */
  static final int BLOCK_MAX_MAX = 1 << 24;

  /** How long the thread of a source waits for work before it ends. A new one costs 0.1 ms. */
  static final long REFILLER_IDLE_NANOS = Duration.ofSeconds(10).toNanos();

  /** The longest time of an option: what a socket's timeout, an int of milliseconds, can hold. */
  static final Duration TIME_MAX = Duration.ofMillis(Integer.MAX_VALUE);

  /** The most bytes that the name of a cluster has. */
  static final int CLUSTER_BYTES_MAX = 255;

  /** The most bytes that the version of a server has. */
  static final int VERSION_BYTES_MAX = 64;

  /** The most bytes that the text of an errorReply has. */
  static final int ERROR_TEXT_BYTES_MAX = 512;

  /**
   * The greatest file of certificates or keys that is read. A bundle of all public CAs has 0.2 MiB.
   */
  static final long PEM_BYTES_MAX = 4 * 1024 * 1024;

  private Limits() {}
}
