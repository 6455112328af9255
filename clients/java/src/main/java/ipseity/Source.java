package ipseity;

import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Hands out identities from a block that it keeps, and takes the next block ahead of need. Most
 * calls take nanoseconds and no network. What it returns increases strictly, over all threads that
 * share it.
 *
 * <pre>{@code
 * try (Source source = Source.open("127.0.0.1:3264")) {
 *   long identity = source.next();
 * }
 * }</pre>
 *
 * <p>What is given up: there is no order <em>between</em> sources, so call {@link #observe} with an
 * identity that came from elsewhere if the next one must be greater. And what a source holds when
 * the program ends is never used. Those identities are skipped, and never repeated.
 */
public final class Source implements AutoCloseable {
  private final Options options;
  private final Pool pool;
  private final Pace pace;

  /** What is handed out now. Those who take from it hold no lock. */
  private volatile Chunk current = Chunk.empty();

  /** Guards what follows. Nobody holds it while the network is waited for. */
  private final ReentrantLock lock = new ReentrantLock();

  private final Condition arrived = lock.newCondition();
  private final Condition work = lock.newCondition();

  /** What comes after the current chunk, in increasing order, and how many identities that is. */
  private final Deque<Chunk> later = new ArrayDeque<>();

  private long leftLater;

  /** How many identities were taken last. */
  private long takenLast;

  /** The greatest identity that was observed, and the greatest of the chunks that are used up. */
  private long observed;

  private long handedUpTo;

  /**
   * The identities of chunks that are used up: those that were handed out, and those that were
   * dropped.
   */
  private long handed;

  private long dropped;
  private long refills;
  private long waits;

  /** How many refills have failed, and why the last one did. */
  private long failedRefills;

  private IpseityException failure;

  /**
   * Whether a refill is to begin, until when it may take, whether one is under way, and its thread
   * is there.
   */
  private boolean isWanted;

  private long wantedUntil;
  private boolean isFilling;

  /** The pid that has come into doubt during the refill that is under way; -1 if there is none. */
  private int doubted = -1;

  private boolean isRunning;
  private boolean closed;

  private Source(Collection<String> servers, Options options) {
    this.options = options;
    pool = new Pool(servers, options, true, this::doubt);
    pace = new Pace(options.blockMax);
  }

  /**
   * A source of these servers. Nothing is looked up or connected before the first call.
   *
   * @param servers each {@code HOST}, {@code HOST:PORT} or {@code [IPV6]:PORT}, with {@code tls://}
   *     before it if it is spoken to by TLS. Without a port it is 3264
   * @return the source
   * @throws ConfigurationException if there is no server, or one is not an address
   */
  public static Source open(String... servers) {
    return new Source(List.of(servers), new Options());
  }

  /**
   * A source of these servers, with these options.
   *
   * @param servers as for {@link #open(String...)}
   * @param options how it behaves
   * @return the source
   * @throws ConfigurationException if there is no server, or one is not an address
   */
  public static Source open(Collection<String> servers, Options options) {
    return new Source(servers, options);
  }

  /**
   * One identity. It waits only if the source holds none, and then for {@link Options#callTimeout}
   * at most. A refill that fails ends the calls that wait for it; the next call begins another one.
   *
   * @return it is greater than all that this source has returned, and than all that it had observed
   * @throws UnavailableException if no server answered in time
   * @throws RefusedException if a server refused the refill
   * @throws WrongClusterException if the server is of another cluster
   * @throws ProtocolException if a server broke the protocol
   * @throws ClosedException if the source is closed
   * @throws InterruptedException if this thread is interrupted while it waits
   */
  public long next() throws InterruptedException {
    Chunk chunk = current;
    if (Clock.now() - chunk.bornAt < options.blockAgeMax) {
      long place = chunk.take();
      if (place < chunk.count) {
        if (place + 1 == chunk.trigger) {
          takeMore();
        }
        return chunk.at(place);
      }
    }
    return nextOrWait();
  }

  /**
   * Tells of an identity that came another way, such as in a message or from a database. What this
   * source returns from now on is greater. If it holds smaller ones, it drops what it holds.
   *
   * @param identity 0 or greater
   * @throws ConfigurationException if it is negative
   */
  public void observe(long identity) {
    long seen = new Identity(identity).value();
    pool.tally.see(seen);
    lock.lock();
    try {
      observed = Math.max(observed, seen);
      if (nextUp() <= seen) {
        dropAll();
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * The newest identity that this source has returned or observed.
   *
   * @return empty if there is none
   */
  public OptionalLong newest() {
    lock.lock();
    try {
      long taken = current.taken();
      long returned = taken > 0 ? current.at(taken - 1) : handedUpTo;
      long newest = Math.max(returned, observed);
      return newest == 0 ? OptionalLong.empty() : OptionalLong.of(newest);
    } finally {
      lock.unlock();
    }
  }

  /**
   * What this source has done so far.
   *
   * @return the counters, each as it is now
   */
  public Counters counters() {
    Tally tally = pool.tally;
    lock.lock();
    try {
      return new Counters(
          tally.requests.sum(),
          handed + current.taken(),
          tally.connects.sum(),
          tally.failures.sum(),
          refills,
          waits,
          dropped);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Closes the connection and drops what is left. It does not wait for calls that are under way:
   * they end with {@link ClosedException}.
   */
  @Override
  public void close() {
    lock.lock();
    try {
      closed = true;
      dropAll();
      arrived.signalAll();
      work.signalAll();
    } finally {
      lock.unlock();
    }
    pool.close();
  }

  // ---- Taking ----

  private long nextOrWait() throws InterruptedException {
    long deadline = Clock.now() + options.callTimeout;
    lock.lockInterruptibly();
    try {
      long failedBefore = failedRefills;
      boolean hasWaited = false;
      while (true) {
        if (closed) {
          throw new ClosedException();
        }
        long identity = take();
        if (identity != 0) {
          return identity;
        }
        if (failedRefills != failedBefore) {
          throw failure.again();
        }
        long left = Clock.left(deadline);
        if (left <= 0) {
          throw pool.unavailable();
        }
        if (!hasWaited) {
          hasWaited = true;
          waits++;
        }
        want(deadline);
        arrived.await(left, TimeUnit.NANOSECONDS);
      }
    } finally {
      lock.unlock();
    }
  }

  /** The next identity that is held, or 0. The lock is held. */
  private long take() {
    while (true) {
      Chunk chunk = current;
      if (Clock.now() - chunk.bornAt >= options.blockAgeMax) {
        retire(chunk, chunk.drop());
      } else {
        long place = chunk.take();
        if (place < chunk.count) {
          aim();
          return chunk.at(place);
        }
        retire(chunk, chunk.count);
      }
      if (later.isEmpty()) {
        current = Chunk.empty();
        return 0;
      }
      leftLater -= later.peek().count;
      current = later.poll();
    }
  }

  /**
   * This chunk is not the current one any more. So many of it were handed out, and the rest is
   * dropped.
   */
  private void retire(Chunk chunk, long taken) {
    handed += taken;
    dropped += chunk.count - taken;
    if (taken > 0) {
      handedUpTo = chunk.at(taken - 1);
    }
  }

  /** The next identity that would be handed out; the greatest number if there is none. */
  private long nextUp() {
    if (current.left() > 0) {
      return current.at(current.taken());
    }
    return later.isEmpty() ? Long.MAX_VALUE : later.peek().first;
  }

  private void dropAll() {
    retire(current, current.drop());
    current = Chunk.empty();
    dropped += leftLater;
    later.clear();
    leftLater = 0;
  }

  /** A server says that another one may have handed out the identities of its pid. */
  private void doubt(int pid) {
    lock.lock();
    try {
      if (current.left() > 0 && current.pid() == pid) {
        retire(current, current.drop());
        current = Chunk.empty();
      }
      for (Chunk chunk : later) {
        if (chunk.pid() == pid) {
          dropped += chunk.count;
          leftLater -= chunk.count;
        }
      }
      later.removeIf(chunk -> chunk.pid() == pid);
      doubted = pid;
    } finally {
      lock.unlock();
    }
  }

  // ---- Refilling ----

  /** Half is left: the next refill begins. */
  private void takeMore() {
    lock.lock();
    try {
      want(Clock.now() + options.callTimeout);
    } finally {
      lock.unlock();
    }
  }

  /** Lets the current chunk say when half of what was taken last is left. The lock is held. */
  private void aim() {
    long trigger = current.count + leftLater - takenLast / 2;
    if (isFilling || isWanted || trigger > current.count) {
      // It is too early: there is a refill under way, or half will be left in a later chunk.
      return;
    }
    current.trigger = trigger;
    // Others may have come past this place while it was set.
    if (current.taken() >= trigger) {
      want(Clock.now() + options.callTimeout);
    }
  }

  /** A refill is needed. One is under way at a time. The lock is held. */
  private void want(long deadline) {
    if (isFilling || isWanted || closed) {
      return;
    }
    isWanted = true;
    wantedUntil = deadline;
    if (isRunning) {
      work.signal();
    } else {
      try {
        Threads.daemon("ipseity-source", this::refillAgainAndAgain).start();
        isRunning = true;
      } finally {
        // If there can be no thread now, the next call tries again.
        isWanted = isRunning;
      }
    }
  }

  private void refillAgainAndAgain() {
    lock.lock();
    try {
      while (!closed && (isWanted || waitForWork())) {
        refill();
      }
    } finally {
      isRunning = false;
      isFilling = false;
      arrived.signalAll();
      lock.unlock();
    }
  }

  /** Returns false if there was none for a long time. */
  private boolean waitForWork() {
    long left = Limits.REFILLER_IDLE_NANOS;
    while (!isWanted && !closed && left > 0) {
      try {
        left = work.awaitNanos(left);
      } catch (InterruptedException e) {
        return false;
      }
    }
    return isWanted;
  }

  private void refill() {
    isWanted = false;
    isFilling = true;
    doubted = -1;
    long now = Clock.now();
    long droppedBefore = dropped;
    int size = pace.next(now, droppedBefore);
    Filling filling = new Filling(size);
    IpseityException failed = null;
    long until = wantedUntil;
    lock.unlock();
    try {
      pool.run(filling, until);
      Hooks.call(() -> options.onRefill.accept(filling.got()));
    } catch (IpseityException e) {
      failed = e;
    } catch (InterruptedException e) {
      failed = pool.unavailable();
    } finally {
      lock.lock();
    }
    isFilling = false;
    if (failed == null) {
      pace.succeeded(now, size, droppedBefore);
      add(filling);
    } else {
      failedRefills++;
      failure = failed;
      aimAtNextCall();
    }
    arrived.signalAll();
  }

  private void add(Filling filling) {
    long now = Clock.now();
    refills++;
    takenLast = filling.got();
    for (Block block : filling.blocks()) {
      // What was observed meanwhile may be greater.
      boolean isInDoubt = Identity.pidOf(block.first()) == doubted;
      if (closed || isInDoubt || block.first() <= observed) {
        dropped += block.count();
      } else {
        later.add(new Chunk(block, now));
        leftLater += block.count();
      }
    }
    if (current.left() > 0) {
      aim();
    }
  }

  /** The refill ahead of need has failed. The next call begins another one. */
  private void aimAtNextCall() {
    long next;
    do {
      next = current.taken() + 1;
      current.trigger = next;
    } while (current.taken() >= next);
  }
}
